"""One text, its words coloured by each method, and how faithful the methods are. Reads and saves nothing."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy import ndarray

from qa_research.figures.word_curves import Band, curves_beside
from qa_research.figures.word_text import (
    CHARACTER,
    LINE,
    SIGNED,
    ShownWord,
    coloured_text,
    n_lines,
)

N_COLUMNS = 112
TITLE, CURVES, LEGEND, BELOW = 0.34, 2.5, 0.12, 0.9


@dataclass(frozen=True)
class Sheet:
    """What the sheet shows: `values` by method, for the sum of both logits, NaN where a word is always on.

    `notes`: sentences that stand below.
    """

    title: str
    quantity: str
    words: Sequence[ShownWord]
    values: Mapping[str, Float[ndarray, " word"]]
    captions: Mapping[str, str]
    counts: Int[ndarray, " count"]
    comprehensiveness: Mapping[str, Float[ndarray, " count"]]
    sufficiency: Mapping[str, Float[ndarray, " count"]]
    random: tuple[Band, Band]
    notes: Sequence[str]


def word_sheet(sheet: Sheet) -> Figure:
    """The text once a method, a scale of the colours, the two curves, and the notes.

    Raises:
        ValueError: no words.
    """
    if not sheet.words:
        raise ValueError("there are no words to show")
    text_height = LINE * n_lines(sheet.words, N_COLUMNS)
    notes = [line for note in sheet.notes for line in textwrap.wrap(note, 130)]
    head = [
        *textwrap.wrap(sheet.title, 96, max_lines=2, placeholder=" …"),
        *textwrap.wrap(sheet.quantity, 130),
    ]
    heights = {"head": 0.21 * len(head) + 0.1}
    for name in sheet.values:
        heights |= {f"{name} title": TITLE, name: text_height}
    heights |= {"space": 0.14, "scale": LEGEND, "gap": BELOW, "curves": CURVES, "under": 0.62}
    heights["notes"] = 0.18 * len(notes) + 0.05
    total = sum(heights.values())
    width = CHARACTER * N_COLUMNS + 1.0
    figure = Figure(figsize=(width, total))
    top = total
    areas: dict[str, tuple[float, float, float, float]] = {}
    for name, height in heights.items():
        top -= height
        areas[name] = (0.5 / width, top / total, 1 - 1.0 / width, height / total)
    _head(figure.add_axes(areas["head"]), head)
    for name, values in sheet.values.items():
        caption = figure.add_axes(areas[f"{name} title"])
        caption.axis("off")
        caption.text(0, 0.2, sheet.captions[name], fontsize=9.5, weight="bold", parse_math=False)
        coloured_text(figure.add_axes(areas[name]), sheet.words, values, N_COLUMNS)
    left, low, across, high = areas["scale"]
    _scale(figure, figure.add_axes((left, low, 0.3 * across, high)))
    left, low, across, high = areas["curves"]
    pair = [
        figure.add_axes((left + 0.04, low, 0.44 * across, high)),
        figure.add_axes((left + 0.54 * across, low, 0.46 * across, high)),
    ]
    limits = _limits(sheet)
    curves_beside(pair, sheet.counts, sheet.comprehensiveness, sheet.sufficiency, sheet.random)
    for panel in pair:
        panel.set_ylim(*limits)
    handles, names = pair[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        ncols=len(names),
        frameon=False,
        fontsize=8.5,
        loc="lower right",
        bbox_to_anchor=(left + across, low + high + 0.24 / total),
    )
    below = figure.add_axes(areas["notes"])
    below.axis("off")
    below.text(0, 1, "\n".join(notes), fontsize=8.5, va="top", color="#444444", parse_math=False)
    return figure


def _head(axes: Axes, lines: Sequence[str]) -> None:
    axes.axis("off")
    for number, line in enumerate(lines):
        axes.text(
            0,
            1 - (number + 0.8) / (len(lines) + 0.4),
            line,
            fontsize=12 if not number else 9,
            weight="bold" if not number else "normal",
            parse_math=False,
        )


def _scale(figure: Figure, axes: Axes) -> None:
    bar = figure.colorbar(
        ScalarMappable(Normalize(-1, 1), SIGNED), cax=axes, orientation="horizontal"
    )
    bar.set_ticks([-1, 0, 1], labels=["opposes", "0", "supports"], fontsize=8)
    bar.ax.tick_params(length=2)
    axes.text(
        1.15,
        0.5,
        "of the strongest word of each method; the span is framed",
        transform=axes.transAxes,
        fontsize=8,
        va="center",
    )


def _limits(sheet: Sheet) -> tuple[float, float]:
    """Of both panels: all that is drawn, with a margin."""
    drawn = [*sheet.comprehensiveness.values(), *sheet.sufficiency.values()]
    drawn += [curve for band in sheet.random for curve in (band.low, band.high)]
    low, high = min(float(c.min()) for c in drawn), max(float(c.max()) for c in drawn)
    margin = 0.05 * (high - low) or 0.05
    return low - margin, high + margin
