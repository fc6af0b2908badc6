"""Confidence beside the share of right answers, at one state or over a training. Reads and saves nothing."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.calibration import Reliability, reliability
from qa_research.figures.panels import COLOURS, GREY, PlainFigure, legend_above
from qa_research.stats import exact_ratio

# Of examples, for the points beside the curve: as many in each.
GROUPS = 10
# The curve ends where fewer examples than that share of the most common confidence have such a confidence.
THIN = 0.02


def reliability_diagram(
    confidence: NDArray[np.float64], right: NDArray[np.float64], lowest: float
) -> Figure:
    """The smoothed share of right answers over confidence, ten points with 95 % intervals, and amounts.

    On the diagonal confidence is true; below it the network is too sure. `lowest`: the least confidence that
    there can be, 0.5 with two labels.
    """
    curve = reliability(confidence, right)
    figure = PlainFigure(figsize=(5.2, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([lowest, 1], [lowest, 1], color=GREY, ls="--", lw=1, label="confidence is true")
    shown = curve.density > THIN * curve.density.max()
    upper.plot(
        curve.confidence,
        np.where(shown, curve.right, np.nan),
        color=COLOURS[0],
        lw=2,
        label="smoothed",
    )
    for place, group in enumerate(np.array_split(np.argsort(confidence, kind="stable"), GROUPS)):
        if len(group):
            found = exact_ratio(int(right[group].sum()), len(group))
            upper.errorbar(
                confidence[group].mean(),
                found.value,
                [[found.value - found.low], [found.high - found.value]],
                fmt="o",
                ms=4,
                lw=1,
                color=COLOURS[1],
                label=None if place else "a tenth of the examples, 95 %",
            )
    upper.set(ylabel="share of right answers", ylim=(0, 1.03))
    upper.set_title(
        f"Smooth calibration error {100 * curve.width:.1f} points", loc="left", fontsize=11
    )
    upper.legend(loc="upper left", fontsize=8, frameon=False)
    _amounts(lower, curve, lowest)
    return figure


def confidence_over_steps(
    steps: NDArray[np.int64],
    accuracy: NDArray[np.float64],
    confidence: NDArray[np.float64],
    losses: Mapping[str, NDArray[np.float64]],
) -> Figure:
    """At each validation accuracy and mean confidence, in percent, and below them losses in nats by name."""
    figure = PlainFigure(figsize=(5.6, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    shares = {"accuracy": accuracy, "mean confidence": confidence}
    for panel, lines in ((upper, shares), (lower, losses)):
        for place, (name, values) in enumerate(lines.items()):
            panel.plot(steps, values, "o-", ms=3, lw=1.6, color=COLOURS[place], label=name)
        legend_above(panel, len(lines))
        panel.grid(axis="y", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    upper.set(ylabel="percent")
    lower.set(ylabel="loss, nats", xlabel="optimizer step", ylim=(0, None))
    return figure


def _amounts(panel: Axes, curve: Reliability, lowest: float) -> None:
    panel.fill_between(curve.confidence, curve.density, color=COLOURS[0], alpha=0.3, lw=0)
    panel.set(xlabel="confidence", xlim=(lowest, 1), yticks=[], ylim=(0, None))
    panel.set_ylabel("examples", fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
