"""Fits an exponential decay to losses, with a band, or says why there is none. Pure numbers.

Losses over a training: of its batches, and of one watched question. Reads and saves nothing.
"""

import textwrap
import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import stdtrit

from qa_research.figures.panels import COLOURS, at, legend_above, numbers, plain, recorded, steps_of

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


# More captures than this are drawn as a line without a mark for each.
MARKED = 60


def training_loss(steps: ArrayLike, losses: ArrayLike, fit: DecayFit | NoFit) -> Figure:
    """The batches' loss at each logged step, and its fit with a band, or why there is none.

    Raises:
        ValueError: no losses, or not as many as steps.
    """
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ValueError(f"a loss at each step is needed, got {y.shape} losses at {x.shape} steps")
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    panel = figure.subplots()
    mark = "." if len(x) <= MARKED else ""
    panel.plot(x, y, marker=mark, color=COLOURS[0], lw=0.8, alpha=0.7, label="training batches")
    if isinstance(fit, DecayFit):
        along = np.linspace(x.min(), x.max(), 400)
        low, high = fit.band(along)
        panel.fill_between(
            along, low, high, color=COLOURS[1], alpha=0.25, lw=0, label="95 % band of the fit"
        )
        panel.plot(along, fit.at(along), color=COLOURS[1], lw=1.8, label=formula(fit))
    else:
        reason = textwrap.fill(f"No fit: {fit.reason}.", 88)
        panel.set_title(reason, loc="left", fontsize=9, color="#555555")
    figure.suptitle("Loss of the training batches")
    panel.set(xlabel="optimizer step", ylabel="loss, nats")
    plain(panel)
    if isinstance(fit, DecayFit):
        legend_above(panel, 2)
    return figure


def formula(fit: DecayFit) -> str:
    """The fitted curve in one line, with R²."""
    since = f"(step − {fit.first_step:g})" if fit.first_step else "step"
    sign = "−" if fit.c < 0 else "+"
    a, time, c = (f"{value:#.3g}".rstrip(".") for value in (fit.a, 1 / fit.b, abs(fit.c)))
    return f"{a} exp(−{since} / {time}) {sign} {c};  R² = {fit.r2:.2f}"


def question_losses(dataset: xr.Dataset, question: int) -> Figure:
    """Start and end loss of one watched question, and the probability of its true span.

    `dataset` is the group `logits`. Dashed: the loss of giving every token the same probability.

    Raises:
        ValueError: the question is not watched, or nothing is recorded.
    """
    loss = at(recorded(dataset, "loss"), question=question)
    probability = numbers(at(recorded(dataset, "probability"), question=question), "step")
    right = numbers(at(recorded(dataset, "exact_match"), question=question), "step") == 1
    steps, n_tokens = steps_of(loss), int(at(dataset["tokens"], question=question))
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    few = len(steps) <= MARKED
    for row, colour in zip(("start", "end"), COLOURS, strict=False):
        values = numbers(at(loss, row=row), "step")
        above.plot(steps, values, marker="." if few else "", color=colour, label=row)
    even = float(np.log(n_tokens))
    label = f"all {n_tokens} tokens alike: {even:.2f}"
    above.axhline(even, color=COLOURS[5], ls="--", lw=1, label=label)
    above.set(ylabel="loss, nats", ylim=(0, None))
    below.plot(steps, probability, color=COLOURS[3], lw=1)
    for wanted, colour, name in ((False, COLOURS[5], "wrong"), (True, COLOURS[3], "right")):
        chosen = np.where(right == wanted, probability, np.nan)
        size = 4.5 if few else 2
        below.plot(steps, chosen, "o", ms=size, color=colour, label=f"answer {name}")
    below.set(xlabel="optimizer step", ylabel="probability\nof the true span", ylim=(-0.03, 1.03))
    for panel in (above, below):
        plain(panel)
        legend_above(panel, 3)
    figure.suptitle(f"Watched question {question}")
    return figure
