"""How far networks look from one position, and how many steps each position of an example takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from qa_research.figures.panels import COLOURS, GREY, PlainFigure, plain

# Weaker ones are not drawn: a gradient of exactly 0 has no logarithm.
LEAST = 1e-4
# Readable on a phone.
INCHES = 5.2


def reach(by_name: Mapping[str, NDArray[np.float64]]) -> Figure:
    """A panel for each network: by distance from the middle position, how strongly a position changes it.

    Values as of `model.reach.gradient_reach`, on a logarithmic scale; there is no bar where they are less
    than `LEAST`.
    """
    figure = PlainFigure(figsize=(INCHES, 0.8 + 1.15 * len(by_name)), layout="constrained")
    panels: Any = figure.subplots(len(by_name), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (name, values), colour in zip(
        panels, by_name.items(), _cycled(by_name), strict=True
    ):
        distances = np.arange(len(values)) - len(values) // 2
        seen = np.where(values >= LEAST, values, np.nan)
        panel.bar(distances, seen, width=0.85, color=colour)
        panel.set_title(name, fontsize=10, loc="left")
        plain(panel)
        panel.set(yscale="log", ylim=(LEAST, 2), xlim=(distances[0] - 1, distances[-1] + 1))
        # Labels of logarithmic axes are formulas otherwise, which a PlainFigure shows as their source.
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panels[-1].set_xlabel("distance from the middle position")
    figure.supylabel("strength of the gradient", fontsize=10)
    return figure


def _cycled(names: Mapping[str, Any]) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(len(names))]


def steps_taken(
    rows: Sequence[tuple[Sequence[str], NDArray[np.float64], Sequence[int]]], most: int
) -> Figure:
    """How many steps each position took: a panel for each example (tokens, steps [position], marked places).

    Marked positions are coloured. `most`: steps that the network allows.
    """
    figure = PlainFigure(figsize=(8.4, 0.6 + 1.25 * len(rows)), layout="constrained")
    panels: Any = figure.subplots(len(rows), 1, sharey=True, squeeze=False)[:, 0]
    for panel, (tokens, steps, marked) in zip(panels, rows, strict=True):
        places = np.arange(len(steps))
        colours = [COLOURS[1] if place in set(marked) else GREY for place in places]
        panel.bar(places, steps, width=0.85, color=colours)
        plain(panel)
        panel.set_xticks(places, tokens, fontsize=8)
        panel.tick_params(axis="x", length=0)
        panel.set(ylim=(0, most), xlim=(-1, len(steps)))
    figure.supylabel("steps", fontsize=10)
    return figure
