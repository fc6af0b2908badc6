"""How methods that score training examples agree, and how well each predicts the trainings without some."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qa_research.figures.panels import COLOURS, GREY, PlainFigure, plain, signed_map
from qa_research.interventions.influence.found import Influence, Truth


def influence_figure(found: Influence) -> Figure:
    """A map of the agreement of methods, and beside it, if they are judged, the score of each."""
    panels = 1 if found.truth is None else 2
    figure = PlainFigure(figsize=(5.4 * panels, 3.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _agreement(axes[0], found)
    if found.truth is not None:
        _judged(axes[1], found.truth)
    return figure


def _agreement(panel: Axes, found: Influence) -> None:
    names = list(found.agreement)
    values = np.array([[found.agreement[one][other] for other in names] for one in names])
    signed_map(panel, values, 1.0)
    for row, one in enumerate(values.tolist()):
        for column, value in enumerate(one):
            dark = abs(value) > 0.6
            panel.text(
                *(column, row, f"{value:+.2f}" if np.isfinite(value) else "-"),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    panel.set_xticks(range(len(names)), names, fontsize=8)
    panel.set_yticks(range(len(names)), names, fontsize=8)
    panel.set_title("agreement of methods (Spearman)", fontsize=9)


def _judged(panel: Axes, truth: Truth) -> None:
    names = [one.method for one in truth.judged]
    places = np.arange(len(names))[::-1]
    scores = np.array([one.score for one in truth.judged])
    ends = np.array([[one.score - one.low, one.high - one.score] for one in truth.judged]).T
    panel.axvspan(*truth.chance, color=GREY, alpha=0.2, lw=0, label="random scores")
    panel.legend(fontsize=7, frameon=False)
    panel.errorbar(
        scores, places, xerr=np.maximum(ends, 0), fmt="o", color=COLOURS[0], capsize=3, ms=5
    )
    panel.set_yticks(places, names, fontsize=8)
    panel.set_ylim(-0.6, len(names) - 0.4)
    panel.set_xlabel("linear datamodeling score, 95 %")
    panel.set_title(f"{truth.trainings} trainings without a random half", fontsize=9)
    plain(panel)
    # Those of steps are whole numbers.
    panel.xaxis.set_major_locator(MaxNLocator(6))
