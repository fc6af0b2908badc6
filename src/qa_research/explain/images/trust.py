"""From coefficients to a ranking, and which of its ranks can be told apart. Pure.

How far an explanation can be trusted: agreement between seeds, and what is said about it. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from statistics import NormalDist
from typing import Literal

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


# From which agreement of the seeds on the top segments an explanation counts as stable.
STABLE_JACCARD = 0.8
# Below this share of what happens, a linear surrogate tells another story than the classifier.
LEAST_R2 = 0.5
LEAST_PROBABILITY = 0.1
LEAST_BEATEN = 0.95
Word = Literal["stable", "doubtful", "unstable"]


@dataclass(frozen=True)
class Stability:
    """Agreement of explanations from different seeds, each with masks of its own.

    `jaccard`: of the top segments, mean over all pairs of seeds (1: all the same); `least_jaccard`: of the
    worst pair; `chance_jaccard`: what random rankings would have. `rank_correlation`: Spearman's, mean over
    pairs (NaN where a seed has all coefficients equal). `sign_agreement`: share of (seed, top segment) whose
    sign is that of the pooled coefficient.
    """

    jaccard: float
    least_jaccard: float
    chance_jaccard: float
    rank_correlation: float
    sign_agreement: float
    tops: tuple[tuple[int, ...], ...]


def stability(
    by_seed: Float[ndarray, "seed segment"], pooled: Float[ndarray, " segment"], top: int
) -> Stability | None:
    """Agreement between seeds; None for one seed alone."""
    n_seeds, n_segments = by_seed.shape
    if n_seeds < 2:
        return None
    top = min(top, n_segments)
    tops = [tuple(int(i) for i in ranked(row)[:top]) for row in by_seed]
    pairs = list(combinations(range(n_seeds), 2))
    shared = [jaccard(tops[a], tops[b]) for a, b in pairs]
    correlations = [_spearman(by_seed[a], by_seed[b]) for a, b in pairs]
    first = ranked(pooled)[:top]
    return Stability(
        jaccard=float(np.mean(shared)),
        least_jaccard=min(shared),
        chance_jaccard=chance_jaccard(top, n_segments),
        rank_correlation=float(np.mean(correlations)),
        sign_agreement=float((np.sign(by_seed[:, first]) == np.sign(pooled[first])).mean()),
        tops=tuple(tops),
    )


def jaccard(a: Sequence[int], b: Sequence[int]) -> float:
    """Shared members / all members."""
    return len(set(a) & set(b)) / len(set(a) | set(b))


def chance_jaccard(top: int, n: int) -> float:
    """Expected Jaccard index of two random sets of `top` out of `n`: the overlap is hypergeometric."""
    return sum(
        comb(top, i) * comb(n - top, top - i) / comb(n, top) * i / (2 * top - i)
        for i in range(max(1, 2 * top - n), top + 1)
    )


@dataclass(frozen=True)
class Verdict:
    """What to think of an explanation, in a word, and every reason to doubt it in a sentence."""

    word: Word
    doubts: tuple[str, ...]


def verdict(
    coefficients: Float[ndarray, " segment"],
    stable: Stability | None,
    r2: float,
    separated: Separation,
    top: int,
    probability: float,
    beaten: Mapping[str, float],
    *,
    exact: bool,
) -> Verdict:
    """Put the controls into words.

    `unstable`: the seeds disagree on the top segments, or nothing changes whatever is switched off.
    `stable`: they agree, and no control speaks against it. `doubtful`: they agree, and one does.
    `probability`: the classifier's own, of the class. `beaten`: by the name of a curve, the share of random
    orders that the ranking beats. `exact`: all masks were taken, so that no seed had a part in it.
    """
    if np.isnan(r2):
        doubt = "The class's probability does not change whatever is switched off."
        return Verdict("unstable", (doubt,))
    if not coefficients.any():
        doubt = "The penalty leaves no segment a coefficient; a smaller lime.alpha does."
        return Verdict("unstable", (doubt,))
    doubts = []
    if stable is None and not exact:
        doubts.append("There is one seed alone: whether others agree is not known.")
    disagree = stable is not None and stable.jaccard < STABLE_JACCARD
    if stable is not None and disagree:
        doubts.append(
            f"{len(stable.tops)} seeds disagree on the top {len(stable.tops[0])}: Jaccard index "
            f"{stable.jaccard:.2f} (by chance {stable.chance_jaccard:.2f})."
        )
    if r2 < LEAST_R2:
        doubts.append(
            f"The linear surrogate explains {max(r2, 0):.0%} of what switching segments off does: "
            "segments act together, and a coefficient for each says little."
        )
    if not separated.separate:
        names = ", ".join(str(i) for i in separated.tied)
        doubts.append(f"Ranks {top} and {top + 1} cannot be told apart; tied are segments {names}.")
    if probability < LEAST_PROBABILITY:
        doubts.append(f"The classifier itself gives the class {probability:.1%} only.")
    doubts += [
        f"In its {name} curve the ranking beats {share:.0%} of random orders only."
        for name, share in beaten.items()
        if share < LEAST_BEATEN
    ]
    if disagree:
        return Verdict("unstable", tuple(doubts))
    return Verdict("doubtful" if doubts else "stable", tuple(doubts))


def _spearman(a: Float[ndarray, " segment"], b: Float[ndarray, " segment"]) -> float:
    from scipy.stats import spearmanr

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)
