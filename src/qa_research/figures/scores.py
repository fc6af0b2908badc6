"""Scores over a training: arrays -> matplotlib figures. Reads and saves nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLOURS = ("#0b6e99", "#d1495b", "#edae49", "#3c7a3b", "#6c4f8c", "#777777")


@dataclass(frozen=True)
class ScoreCurves:
    """One run: the steps at which it was validated, and exact match by kind there, in percent."""

    steps: NDArray[np.int64]
    exact_match: Mapping[str, NDArray[np.float64]]


def exact_match_by_kind(
    groups: Mapping[str, Sequence[ScoreCurves]], guessing: Mapping[str, float]
) -> Figure:
    """A panel a group of runs, a line a run and kind; dashed: what guessing earns, in percent.

    All kinds keep their colour over the panels; the legend stands in the first.
    """
    figure = Figure(figsize=(4.6 * len(groups), 3.4), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    kinds = sorted({kind for runs in groups.values() for run in runs for kind in run.exact_match})
    colours = dict(zip(kinds, COLOURS, strict=False))
    for panel, (title, runs) in zip(panels, groups.items(), strict=True):
        for number, run in enumerate(runs):
            for kind, values in run.exact_match.items():
                panel.plot(
                    run.steps,
                    values,
                    color=colours[kind],
                    linewidth=1.3,
                    alpha=0.85,
                    label=kind if number == 0 else None,
                )
        for kind, value in guessing.items():
            if kind in colours and value < 100:
                label = f"{kind}, guessing: {value:.0f} %"
                panel.axhline(value, color=colours[kind], linestyle="--", linewidth=1, label=label)
        panel.set(title=title, xlabel="optimizer step", ylim=(0, 102))
        panel.margins(x=0.02)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel("exact match on validation, %")
    panels[0].legend(title="kind of question", loc="center right", frameon=False, fontsize=9)
    return figure
