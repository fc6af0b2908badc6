"""Curves over a training: losses of its batches with a fitted decay, losses of one watched question, exact
match by kind. Reads and saves nothing.
"""

import itertools
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import stdtrit

from qa_research.figures.panels import (
    COLOURS,
    CORRECT,
    GREY,
    LineName,
    PlainFigure,
    at,
    legend_above,
    name_lines,
    numbers,
    plain,
    recorded,
    start_at_zero,
    steps_of,
)
from qa_research.stats import CONFIDENCE

LEAST_STEPS = 5
# The decay rates tried, in units of 1 / (last step - first step), form a geometric series: the slowest is
# nearly a straight line, the fastest leaves 5 % of the fall at the second step.
SLOWEST = 0.02
STARTS = 80
LEFT_AT_SECOND_STEP = 0.05
# The height of a panel of scores.
SCORES_INCHES = 2.6
# The share of the steps at whose end a fit must not be off by more standard errors than this, and by more of
# the whole fall.
LAST, MOST_ERRORS, VISIBLE = 0.1, 4.0, 0.05
# More points than this cannot be told apart in a figure.
MOST_POINTS = 1500
# More captures than this are drawn as a line without a mark for each.
MARKED = 60


@dataclass(frozen=True)
class NoFit:
    """Why no decay is drawn, to follow "No fit: "."""

    reason: str


@dataclass(frozen=True)
class DecayFit:
    """`a * exp(-b * (step - first_step)) + c`, by least squares over `n` losses.

    `a` and `c` are in the losses' unit (nats), `b` is per step. `covariance` is that of (a, b, c), for
    independent noise of equal size at all steps. `r2`, the share of the losses' variance that the curve
    explains, says whether the curve has the right shape at all.
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

    @property
    def level(self) -> tuple[float, float]:
        """The 95 % interval of `c`, where the loss would level off if it went on falling like this."""
        half = self._quantile * float(np.sqrt(self.covariance[2, 2]))
        return self.c - half, self.c + half

    @property
    def _quantile(self) -> float:
        return float(stdtrit(self.n - 3, (1 + CONFIDENCE) / 2))

    def band(self, steps: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end of the curve's own 95 % interval at each of `steps`.

        Delta method: the variance is g' C g with the curve's gradient g in (a, b, c); Student's t
        with n - 3 degrees of freedom. It is about the curve, not about single losses.
        """
        since = np.asarray(steps, dtype=np.float64) - self.first_step
        falling = np.exp(-self.b * since)
        gradient = np.stack([falling, -self.a * since * falling, np.ones_like(since)], axis=-1)
        variance = np.einsum("...i,ij,...j->...", gradient, self.covariance, gradient)
        half = self._quantile * np.sqrt(np.maximum(variance, 0))
        curve = self.at(steps)
        return curve - half, curve + half


def fit_decay(steps: ArrayLike, losses: ArrayLike) -> DecayFit | NoFit:
    """The decay that fits `losses` [n] over `steps` [n] best, or the reason why none is shown.

    Steps are scaled to [0, 1] and losses to unit variance before fitting; the start values are the best of a
    series of decay rates, each with its own best a and c. A decay is shown only if it has a lower Bayesian
    information criterion than a straight line and than the mean: n log(RSS / n) + k log(n), with RSS the
    residual sum of squares and k = 3, 2 and 1 parameters; and only if the last losses do not lie off it.
    Example with n = 100: a decay with RSS 10 has 100 log(0.1) + 3 log(100) = -216, a line with RSS 12 has
    -203, the mean with RSS 100 has 5: a decay.

    Raises:
        ValueError: `steps` and `losses` are not two lists of the same length.
    """
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"steps {x.shape} and losses {y.shape} must be lists of the same length")
    n_steps = len(np.unique(x))
    if n_steps < LEAST_STEPS:
        return NoFit(
            f"a decay needs losses at {LEAST_STEPS} steps or more, and there are {n_steps}"
        )
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
            # It warns that the covariance is infinite, which is checked below.
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
        return NoFit("all of the fall is before the second step, so its rate is unknown")
    if not np.all(np.isfinite(covariance)):
        return NoFit("the losses do not determine the decay (infinite covariance)")
    if _ends_off(u, z - _decay(u, *found), float(found[0])):
        return NoFit(
            "the losses of the last steps lie off the best decay, so it says nothing of their end"
        )
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


def _ends_off(u: NDArray[np.float64], residuals: NDArray[np.float64], fall: float) -> bool:
    """Whether the last tenth of the steps lies on one side of the curve: by more than noise, and visibly.

    Example: ten last residuals of 0.5 on average with a scatter of 0.3 are 0.5 / (0.3 / sqrt(10)) = 5.3
    standard errors off, which is more than 4; and 0.5 is more than a twentieth of a fall of 4.
    """
    last = residuals[u >= 1 - LAST]
    if len(last) < LEAST_STEPS:
        return False
    off = abs(float(last.mean()))
    noise = float(last.std(ddof=1)) / float(np.sqrt(len(last)))
    return off > MOST_ERRORS * noise and off > VISIBLE * abs(fall)


def _decay(x: NDArray[np.float64], a: float, b: float, c: float) -> NDArray[np.float64]:
    return a * np.exp(-b * x) + c


def _best_start(
    u: NDArray[np.float64], z: NDArray[np.float64], fastest: float
) -> tuple[float, float, float]:
    """(a, b, c) within the bounds; for a given b, the best a and c are those of a linear regression."""
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
    # Rounding leaves residuals of this size, so that all smaller ones are equally perfect.
    return float(n * np.log(max(residual / n, 1e-18)) + k * np.log(n))


def training_loss(
    steps: ArrayLike, losses: ArrayLike, fit: DecayFit | NoFit, unit: str = "nats"
) -> Figure:
    """The batches' loss at each logged step, and its fit with a band, or why there is none.

    `unit`: of the loss; empty if it has none.

    Raises:
        ValueError: no losses, or not one for each step.
    """
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ValueError(f"every step needs a loss, got {y.shape} losses at {x.shape} steps")
    figure = PlainFigure(figsize=(6.4, 3.8), layout="constrained")
    panel = figure.subplots()
    mark = "." if len(x) <= MARKED else ""
    panel.plot(
        *outline(x, y), marker=mark, color=COLOURS[0], lw=0.8, alpha=0.7, label="training batches"
    )
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
    panel.set(xlabel="optimizer step", ylabel=f"loss, {unit}" if unit else "loss")
    plain(panel)
    if isinstance(fit, DecayFit):
        legend_above(panel, 2)
        panel.set_xlabel(f"optimizer step\n\n{_filled(levels_off(fit, unit), 72)}")
    return figure


def outline(
    x: NDArray[np.float64], y: NDArray[np.float64], most: int = MOST_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A line that looks like that of `x` and `y`: of each stretch the lowest and the highest point, in order.

    Example with `most` 4: x 0 to 5, y 1 5 2 9 0 3 has the stretches 1 5 2 and 9 0 3, so it is 1 5 9 0 at 0,
    1, 3, 4. At most `most` points are left, and all of them if they are no more.
    """
    if len(x) <= most:
        return x, y
    kept = []
    for stretch in np.array_split(np.arange(len(x)), most // 2):
        kept += sorted({int(stretch[y[stretch].argmin()]), int(stretch[y[stretch].argmax()])})
    return x[kept], y[kept]


def levels_off(fit: DecayFit, unit: str = "nats") -> str:
    """Where the fitted loss ends, with its interval, or that it does not say, as no loss is below zero."""
    low, high = fit.level
    in_unit = f" {unit}" if unit else ""
    if low < 0:
        return (
            f"These steps do not say where the loss levels off: at {fit.c:.3g} [{low:.3g}, {high:.3g}]"
            f"{in_unit}, and no loss is below 0."
        ).replace("-", "−")
    return (
        f"If it goes on falling like this, it levels off at {fit.c:.3g} [{low:.3g}, {high:.3g}]{in_unit}, "
        "95 % (for independent noise of equal size at all steps)."
    )


def _filled(text: str, width: int) -> str:
    """`text` in lines of at most `width` characters, never broken within an interval."""
    whole = re.sub(r"\[[^\]]*\]", lambda found: found[0].replace(" ", "\u00a0"), text)
    return textwrap.fill(whole, width).replace("\u00a0", " ")


def formula(fit: DecayFit) -> str:
    """The fitted curve in one line, with R²."""
    since = f"(step − {fit.first_step:g})" if fit.first_step else "step"
    sign = "−" if fit.c < 0 else "+"
    a, time, c = (f"{value:#.3g}".rstrip(".") for value in (fit.a, 1 / fit.b, abs(fit.c)))
    return f"{a} exp(−{since} / {time}) {sign} {c};  R² = {fit.r2:.2f}"


def question_losses(dataset: xr.Dataset, question: int, asked: str = "") -> Figure:
    """Start and end loss of one watched question, and the probability of its true span.

    `dataset` is the group `logits`, `asked` the question, for the title. Dashed: the loss if every token had
    the same probability.

    Raises:
        ValueError: the question is not watched, or nothing is recorded.
    """
    loss = at(recorded(dataset, "loss"), question=question)
    probability = numbers(at(recorded(dataset, "probability"), question=question), "step")
    correct = numbers(at(recorded(dataset, "exact_match"), question=question), "step") == 1
    steps, n_tokens = steps_of(loss), int(at(dataset["tokens"], question=question))
    figure = PlainFigure(figsize=(6.4, 4.8), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    few = len(steps) <= MARKED
    for row, colour in zip(("start", "end"), COLOURS, strict=False):
        values = numbers(at(loss, row=row), "step")
        above.plot(steps, values, marker="." if few else "", color=colour, label=row)
    uniform = float(np.log(n_tokens))
    label = f"all {n_tokens} tokens equally likely: {uniform:.2f}"
    above.axhline(uniform, color=GREY, ls="--", lw=1, label=label)
    above.set_ylabel("loss, nats")
    start_at_zero(above)
    below.plot(steps, probability, color=CORRECT, lw=1)
    for outcome, colour, name in ((False, GREY, "wrong"), (True, CORRECT, "correct")):
        chosen = np.where(correct == outcome, probability, np.nan)
        size = 4.5 if few else 2
        below.plot(steps, chosen, "o", ms=size, color=colour, label=f"answer {name}")
    below.set(xlabel="optimizer step", ylabel="probability\nof the true span", ylim=(-0.03, 1.03))
    for panel in (above, below):
        plain(panel)
        legend_above(panel, 3)
    title = " ".join(asked.split()) or f"Watched question {question}"
    figure.suptitle("\n".join(textwrap.wrap(title, 70, max_lines=2, placeholder=" …")), fontsize=11)
    return figure


# The interval is 2 t(n - 1) / sqrt(n) standard deviations wide, the range of n runs at most sqrt(2 (n - 1)):
# of 3 runs these are 4.97 and 2, of 4 runs 3.18 and 2.45, of 5 runs 2.48 and 2.83.
FEWEST_WITH_BAND = 5
# Of the runs of one panel.
RUN_STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), "-.")


@dataclass(frozen=True)
class ScoreCurves:
    """One run: the steps of its validations, and exact match by kind at each, in percent."""

    steps: NDArray[np.int64]
    exact_match: Mapping[str, NDArray[np.float64]]


def exact_match_by_kind(
    groups: Mapping[str, Sequence[ScoreCurves]],
    guessing: Mapping[str, float],
    label: str = "exact match",
    in_percent: bool = True,
) -> Figure:
    """A panel for each group of runs, a line for each run and kind, a mark for each validation.

    A kind has the same colour in all panels, the runs of a panel have a style each. Thin and dashed: what
    guessing scores, in percent. Of five runs or more a band shows the 95 % interval of their mean (Student's
    t), over the steps that all have. Of fewer that interval is wider than the range of all of them, whatever
    they score, so their lines alone say what is known. `label`: what is scored, if it is another metric;
    `in_percent`: whether it is in percent, or in a unit whose range nobody knows.
    """
    figure = PlainFigure(figsize=(5.2 * len(groups), SCORES_INCHES + 1.2), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    kinds = sorted({kind for runs in groups.values() for run in runs for kind in run.exact_match})
    colours = dict(zip(kinds, itertools.cycle(COLOURS), strict=False))
    for panel, (title, runs) in zip(panels, groups.items(), strict=True):
        names = []
        for kind in [kind for kind in kinds if any(kind in run.exact_match for run in runs)]:
            own = [run for run in runs if kind in run.exact_match]
            names.append(LineName(_draw_kind(panel, own, kind, colours[kind]), kind, colours[kind]))
        for kind, value in guessing.items():
            if kind in colours and value < 100:
                panel.axhline(value, color=colours[kind], linestyle="--", linewidth=0.7)
                names.append(LineName(value, f"{kind}, guessing: {value:.0f} %", colours[kind]))
        panel.set(title=title, xlabel="optimizer step")
        if in_percent:
            panel.set_ylim(0, 102)
        plain(panel)
        panel.set_xlim(left=0)
        name_lines(panel, names, SCORES_INCHES)
    panels[0].set_ylabel(f"{label} on validation{', %' if in_percent else ''}")
    return figure


def _draw_kind(panel: Axes, runs: Sequence[ScoreCurves], kind: str, colour: str) -> float:
    """The lines of one kind and the band of their mean; the value at the end of the longest."""
    for number, run in enumerate(runs):
        panel.plot(
            run.steps,
            run.exact_match[kind],
            color=colour,
            linestyle=RUN_STYLES[number % len(RUN_STYLES)],
            linewidth=1.4,
            marker="o",
            markersize=2.5,
        )
    shared = sorted(set.intersection(*(set(run.steps.tolist()) for run in runs)))
    n = len(runs)
    if n >= FEWEST_WITH_BAND and shared:
        values = np.array([run.exact_match[kind][np.isin(run.steps, shared)] for run in runs])
        mean = values.mean(axis=0)
        half = stdtrit(n - 1, (1 + CONFIDENCE) / 2) * values.std(axis=0, ddof=1) / np.sqrt(n)
        low, high = (mean - half).clip(0), (mean + half).clip(max=100)
        panel.fill_between(shared, low, high, color=colour, alpha=0.12, linewidth=0)
    longest = max(runs, key=lambda run: int(run.steps[-1]))
    return float(longest.exact_match[kind][-1])
