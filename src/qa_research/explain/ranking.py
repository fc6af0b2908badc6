"""From coefficients to a ranking, and which of its ranks can be told apart. Pure."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

# Differences below this are rounding: the surrogate's outputs are probabilities.
EQUAL = 1e-9


@dataclass(frozen=True)
class Separation:
    """Whether rank k and every rank below it differ by more than chance.

    `z`: of the least clear of these differences, in standard errors of the bootstrap (infinite where there
    is no chance in it); `needed`: the z from which they count as separate. `tied`: the segments, best first,
    that cannot be told from rank k, itself among them; a single one where it is separate from all others.
    """

    z: float
    needed: float
    tied: tuple[int, ...]

    @property
    def separate(self) -> bool:
        """Whether the top k are the top k."""
        return self.z >= self.needed


def ranked(coefficients: Float[ndarray, " segment"]) -> Int[ndarray, " segment"]:
    """Segments by coefficient, highest first; equal ones by number."""
    return np.argsort(-coefficients, kind="stable")


def intervals(
    draws: Float[ndarray, "resample segment"], confidence: float
) -> tuple[Float[ndarray, " segment"], Float[ndarray, " segment"]]:
    """Lower and upper end of each coefficient's percentile interval over bootstrap draws."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def separation(
    coefficients: Float[ndarray, " segment"],
    draws: Float[ndarray, "resample segment"] | None,
    top: int,
    confidence: float,
    looks: int,
) -> Separation:
    """Compare rank `top` with all others; with as many segments as `top`, or fewer, nothing is to tell apart.

    `looks`: how often the question is put while masks are added; the allowed error is shared among them
    (Bonferroni), for whoever looks often enough finds a difference. Without `draws` the coefficients are
    those of all masks there are, and every difference is one.
    """
    order = ranked(coefficients)
    needed = NormalDist().inv_cdf(1 - (1 - confidence) / 2 / looks)
    if top >= len(order):
        return Separation(float("inf"), needed, ())
    last = order[top - 1]
    gaps = np.abs(coefficients[last] - coefficients)
    spread = np.zeros((2, 1)) if draws is None else draws[:, [last]] - draws
    noise = np.broadcast_to(spread.std(axis=0, ddof=1), gaps.shape)
    # Nothing is nearer to a value than rounding.
    gaps = np.where(gaps > EQUAL, gaps, 0.0)
    z = np.divide(gaps, noise, out=np.where(gaps > 0, np.inf, 0.0), where=noise > EQUAL / 10)
    tied = tuple(int(i) for i in order if z[i] < needed or i == last)
    return Separation(float(z[order[top:]].min()), needed, tied)
