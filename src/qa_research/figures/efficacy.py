"""Right answers over a training: arrays -> matplotlib figures. No reading, no saving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.figures.panels import plain

COLOURS = {"pretrained": "#0b6e99", "random": "#d1495b", "not known": "#777777"}
STYLES = ("-", "--", ":", "-.")
LABELLED_RUNS = 6


@dataclass(frozen=True)
class EfficacyCurve:
    """One run: right answers in percent at some steps, with their 95 % intervals. Arrays [step].

    `begin`: what its training began from, a key of COLOURS. `is_floor`: the true ratio is higher.
    """

    name: str
    begin: str
    steps: NDArray[np.int64]
    percent: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    is_floor: bool


def efficacy_over_steps(panels: Mapping[str, Sequence[EfficacyCurve]]) -> Figure:
    """A panel for each split that was asked, a line with its band for each run.

    A run that was asked at one step alone is a point with a bar; where the true ratio is higher a
    triangle. Colours tell what a training began from, line styles tell runs apart.
    """
    figure = Figure(figsize=(max(6.0, 5.2 * len(panels)), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        seen: dict[str, int] = {}
        for curve in curves:
            number = seen[curve.begin] = seen.get(curve.begin, 0) + 1
            colour = COLOURS[curve.begin]
            label = None
            if len(curves) <= LABELLED_RUNS:
                label = curve.name
            elif number == 1:
                total = sum(other.begin == curve.begin for other in curves)
                label = f"{curve.begin} ({total} runs)"
            if len(curve.steps) > 1:
                panel.fill_between(
                    curve.steps, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0
                )
                panel.plot(
                    curve.steps,
                    curve.percent,
                    color=colour,
                    linestyle=STYLES[(number - 1) % len(STYLES)],
                    marker="^" if curve.is_floor else "o",
                    markersize=3,
                    linewidth=1.3,
                    label=label,
                )
                continue
            panel.errorbar(
                curve.steps,
                curve.percent,
                yerr=np.stack([curve.percent - curve.low, curve.high - curve.percent]),
                color=colour,
                fmt="^" if curve.is_floor else "o",
                markersize=4,
                linewidth=1.0,
                capsize=2,
                label=label,
            )
        plain(panel)
        panel.set(title=title, xlabel="optimizer step")
        panel.legend(frameon=False, fontsize=8, loc="best")
    # The panels share it, so only when all are drawn: setting it ends autoscaling.
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("questions answered right, %")
    return figure
