"""A text whose words are coloured by how much they support or oppose something. Reads and saves nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle
from numpy import ndarray

from qa_research.figures.tokens import drawable, shortened

# Blue and orange are told apart by those who cannot tell red from green.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#b35806", "#f1a340", "#ffffff", "#67a9cf", "#0b5a8a"]
)
SPAN_COLOUR = "#1d2227"
FONT = ["DejaVu Sans Mono", "DejaVu Sans"]
SIZE = 9
# Inches of a character of that size, and of a line.
CHARACTER = 0.0753
LINE = 0.2
LONGEST_WORD = 40


@dataclass(frozen=True)
class ShownWord:
    """A word: what it is part of ("question" or "context"), whether it is of the span, and what precedes it.

    `is_spaced`: a blank stands before it.
    """

    text: str
    part: str
    in_span: bool
    is_spaced: bool


@dataclass(frozen=True)
class Placed:
    """Where a word is drawn: its line and its first character's column."""

    line: int
    column: int
    text: str


def places_of(words: Sequence[ShownWord], n_columns: int) -> list[Placed]:
    """The words in lines of at most `n_columns` characters; the context begins a new line."""
    found: list[Placed] = []
    line = column = 0
    part = words[0].part if words else ""
    for word in words:
        text = shortened(drawable(word.text), min(LONGEST_WORD, n_columns))
        gap = 1 if word.is_spaced and column else 0
        if word.part != part or column + gap + len(text) > n_columns:
            line, column, gap = line + 1, 0, 0
        part = word.part
        found.append(Placed(line, column + gap, text))
        column += gap + len(text)
    return found


def n_lines(words: Sequence[ShownWord], n_columns: int) -> int:
    """How many lines `places_of` fills."""
    return max((place.line for place in places_of(words, n_columns)), default=-1) + 1


def coloured_text(
    axes: Axes,
    words: Sequence[ShownWord],
    values: Float[ndarray, " word"],
    n_columns: int,
) -> None:
    """The words, coloured by their values, the largest |value| strongest; the span's words are framed.

    NaN (a word that is always on) has no colour and is grey; what opposes is underlined, too.

    Raises:
        ValueError: not a value for each word.
    """
    if len(values) != len(words):
        raise ValueError(f"{len(words)} words need as many values, got {len(values)}")
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    colours = SIGNED(Normalize(-most, most)(np.nan_to_num(values)))
    for word, place, value, colour in zip(
        words, places_of(words, n_columns), values, colours, strict=True
    ):
        size = len(place.text)
        axes.add_patch(
            Rectangle((place.column, place.line + 0.08), size, 0.84, color=colour, linewidth=0)
        )
        if word.in_span:
            axes.add_patch(
                Rectangle(
                    (place.column - 0.12, place.line + 0.05),
                    size + 0.24,
                    0.9,
                    fill=False,
                    edgecolor=SPAN_COLOUR,
                    linewidth=1.2,
                    zorder=3,
                )
            )
        strength = abs(value) / most if np.isfinite(value) else 0.0
        if value < 0 and strength > 0.15:
            axes.plot(
                [place.column, place.column + size], [place.line + 0.9] * 2, color="#8a4505", lw=1
            )
        axes.text(
            place.column,
            place.line + 0.5,
            place.text,
            fontsize=SIZE,
            family=FONT,
            va="center",
            color="white" if strength > 0.75 else "black" if np.isfinite(value) else "#888888",
            parse_math=False,
        )
    axes.set(xlim=(-0.5, n_columns + 0.5), ylim=(n_lines(words, n_columns) or 1, 0))
    axes.axis("off")
