"""Fits an exponential decay to losses, with a band, or says why there is none. Pure numbers."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import stdtrit

LEAST_STEPS = 5
# The decay rates tried, in units of 1 / (last step - first step), are a geometric series: the slowest
# is nearly a straight line, the fastest leaves 5 % of the fall at the second step.
SLOWEST = 0.02
STARTS = 80
LEFT_AT_SECOND_STEP = 0.05


@dataclass(frozen=True)
class NoFit:
    """Why no decay is drawn: the end of a sentence that begins with "No fit: "."""

    reason: str


@dataclass(frozen=True)
class DecayFit:
    """`a * exp(-b * (step - first_step)) + c`, by least squares over `n` losses.

    `a` and `c` have the losses' unit (nats), `b` is per step. `covariance` is that of (a, b, c). It
    holds for independent noise of equal size at all steps; a curve of another shape is not noise: see
    `r2`, the share of the losses' variance that the curve explains.
    """

    a: float
    b: float
    c: float
    first_step: float
    covariance: NDArray[np.float64]
    r2: float
    n: int

    def at(self, steps: ArrayLike) -> NDArray[np.float64]:
        """The curve at `steps`."""
        since = np.asarray(steps, dtype=np.float64) - self.first_step
        return _decay(since, self.a, self.b, self.c)

    def band(self, steps: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end of the curve's own 95 % interval at each of `steps`.

        Delta method: the variance is g' C g with the curve's gradient g in (a, b, c); Student's t
        with n - 3 degrees of freedom. It is about the curve, not about single losses.
        """
        since = np.asarray(steps, dtype=np.float64) - self.first_step
        falling = np.exp(-self.b * since)
        gradient = np.stack([falling, -self.a * since * falling, np.ones_like(since)], axis=-1)
        variance = np.einsum("...i,ij,...j->...", gradient, self.covariance, gradient)
        half = float(stdtrit(self.n - 3, 0.975)) * np.sqrt(np.maximum(variance, 0))
        curve = self.at(steps)
        return curve - half, curve + half


def fit_decay(steps: ArrayLike, losses: ArrayLike) -> DecayFit | NoFit:
    """The decay that fits `losses` [n] over `steps` [n] best, or the reason why none is shown.

    Steps are scaled to [0, 1] and losses to unit variance before fitting; the start values are the
    best of a series of decay rates, each with its own best a and c. A decay is shown only if it is
    better than a straight line and than the mean: lower in the Bayesian information criterion,
    n log(residual sum of squares / n) + k log(n), with k = 3, 2 and 1.

    Raises:
        ValueError: `steps` and `losses` are not two lists of one length.
    """
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"steps {x.shape} and losses {y.shape} must be lists of one length")
    n_steps = len(np.unique(x))
    if n_steps < LEAST_STEPS:
        return NoFit(f"a decay needs losses at {LEAST_STEPS} steps or more, there are {n_steps}")
    n_bad = int(np.sum(~np.isfinite(y)))
    if n_bad:
        return NoFit(f"{n_bad} of {len(y)} losses are not finite")
    if np.ptp(y) <= 1e-12 * np.abs(y).max():
        return NoFit("all losses are equal")
    span, mean, spread = float(np.ptp(x)), float(y.mean()), float(y.std())
    return _fit_scaled(x, (x - x.min()) / span, (y - mean) / spread, span, mean, spread)


def _fit_scaled(
    x: NDArray[np.float64],
    u: NDArray[np.float64],
    z: NDArray[np.float64],
    span: float,
    mean: float,
    spread: float,
) -> DecayFit | NoFit:
    fastest = -np.log(LEFT_AT_SECOND_STEP) / np.min(u[u > 0])
    start = _best_start(u, z, fastest)
    low, high = (0.0, SLOWEST, -np.inf), (np.inf, fastest, np.inf)
    try:
        with warnings.catch_warnings():
            # It says that the covariance is infinite, which is looked at below.
            warnings.simplefilter("ignore", OptimizeWarning)
            found, covariance = curve_fit(_decay, u, z, p0=start, bounds=(low, high))
    except RuntimeError:
        return NoFit("the search for the best decay did not converge")
    residual = float(np.sum((z - _decay(u, *found)) ** 2))
    line = float(np.sum((z - np.polyval(np.polyfit(u, z, 1), u)) ** 2))
    total = float(np.sum(z**2))
    n = len(u)
    for name, other, k in (("their mean", total, 1), ("a straight line", line, 2)):
        if _criterion(residual, n, 3) >= _criterion(other, n, k):
            return NoFit(f"a decay describes the losses no better than {name} (BIC)")
    if found[1] > 0.99 * fastest:
        return NoFit("the whole fall lies before the second step, so its rate cannot be told")
    if not np.all(np.isfinite(covariance)):
        return NoFit("the losses do not determine the decay (infinite covariance)")
    units = np.array([spread, 1 / span, spread])
    a, b, c = (float(value) for value in found * units)
    return DecayFit(
        a=a,
        b=b,
        c=c + mean,
        first_step=float(x.min()),
        covariance=covariance * np.outer(units, units),
        r2=1 - residual / total,
        n=n,
    )


def _decay(x: NDArray[np.float64], a: float, b: float, c: float) -> NDArray[np.float64]:
    return a * np.exp(-b * x) + c


def _best_start(
    u: NDArray[np.float64], z: NDArray[np.float64], fastest: float
) -> tuple[float, float, float]:
    """(a, b, c) inside the bounds: for a given b the best a and c are a linear regression."""
    best = (np.inf, 0.0, 0.0, 0.0)
    for b in np.geomspace(2 * SLOWEST, fastest / 2, STARTS):
        falling = np.exp(-b * u)
        centred = falling - falling.mean()
        a = max(float(centred @ z) / float(centred @ centred), 1e-6)
        c = float(np.mean(z - a * falling))
        residual = float(np.sum((z - a * falling - c) ** 2))
        best = min(best, (residual, a, float(b), c))
    return best[1:]


def _criterion(residual: float, n: int, k: int) -> float:
    """The Bayesian information criterion of a fit to n values of unit variance with k parameters."""
    # Rounding alone leaves residuals: below this all fits are equally perfect.
    return float(n * np.log(max(residual / n, 1e-18)) + k * np.log(n))
