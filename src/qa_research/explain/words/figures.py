"""What the figures of an attribution are made of: coloured words, faithfulness curves, words over steps.

The sheet that puts a whole answer on one picture is in `sheet`. Reads and saves nothing.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy import ndarray

from qa_research.explain.words.result import (
    CURVES,
    NAMES,
    AttributionOverSteps,
    Faithfulness,
    ShownText,
    ShownWord,
    Values,
)
from qa_research.figures.panels import (
    COLOURS,
    GREY,
    PlainFigure,
    drawable,
    step_map,
    step_ticks,
    strongest,
)
from qa_research.figures.tokens import TRUE, shortened

# Orange and blue, which people who cannot distinguish red from green can distinguish.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#b35806", "#f1a340", "#ffffff", "#67a9cf", "#0b5a8a"]
)
UNDERLINE = "#8a4505"
FRAME = "#1d2227"
GRID = "#dddddd"
RANDOM = GREY
FONT = ["DejaVu Sans Mono", "DejaVu Sans"]
SIZE = 9
LONGEST_WORD = 40


@dataclass(frozen=True)
class Placed:
    """Where a word is drawn: its line and its first character's column."""

    line: int
    column: int
    text: str


def places_of(text: ShownText, n_columns: int) -> list[Placed]:
    """The words in lines of at most `n_columns` characters; the context starts a new line.

    "Who leads?" and "Dr Obi leads" in 12 columns: Who at line 0, column 0; leads at 0, 4; ? at 0, 9, as
    nothing separates it from leads; Dr at 1, 0; Obi at 1, 3; leads at 1, 7, which fills the line exactly.
    """
    found: list[Placed] = []
    line = column = 0
    part = text.words[0].part if text.words else ""
    for word, is_spaced in zip(text.words, text.is_spaced, strict=True):
        shown = shortened(drawable(word.text), min(LONGEST_WORD, n_columns))
        gap = 1 if is_spaced and column else 0
        if word.part != part or column + gap + len(shown) > n_columns:
            line, column, gap = line + 1, 0, 0
        part = word.part
        found.append(Placed(line, column + gap, shown))
        column += gap + len(shown)
    return found


def n_lines(text: ShownText, n_columns: int) -> int:
    """How many lines `places_of` fills."""
    return max((place.line for place in places_of(text, n_columns)), default=-1) + 1


def coloured_text(axes: Axes, text: ShownText, values: Values, n_columns: int) -> None:
    """The words, coloured by their values, the largest |value| strongest; the span's words are framed.

    None (a word that is always on) has no colour and is grey; words that oppose are underlined, too.

    Raises:
        ValueError: not a value for each word.
    """
    if len(values) != len(text.words):
        raise ValueError(f"{len(text.words)} words need as many values, got {len(values)}")
    most = max((abs(value) for value in values if value is not None), default=0.0) or 1.0
    colour_of = Normalize(-most, most)
    for word, place, value in zip(text.words, places_of(text, n_columns), values, strict=True):
        _draw_word(axes, place, SIGNED(colour_of(value or 0.0)), word.in_span)
        share = None if value is None else value / most
        if share is not None and share < -0.15:
            ends = place.column, place.column + len(place.text)
            axes.plot(ends, [place.line + 0.9] * 2, color=UNDERLINE, lw=1)
        axes.text(
            place.column,
            place.line + 0.5,
            place.text,
            fontsize=SIZE,
            family=FONT,
            va="center",
            color=_ink(share),
            parse_math=False,
        )
    axes.set(xlim=(-0.5, n_columns + 0.5), ylim=(n_lines(text, n_columns) or 1, 0))
    axes.axis("off")


def _ink(share: float | None) -> str:
    """The letters' colour on the colour of a value, which is a share of the strongest; None: always on."""
    if share is None:
        return "#888888"
    return "white" if abs(share) > 0.75 else "black"


def _draw_word(
    axes: Axes, place: Placed, colour: tuple[float, float, float, float], is_framed: bool
) -> None:
    width = len(place.text)
    corner = place.column, place.line + 0.08
    axes.add_patch(Rectangle(corner, width, 0.84, color=colour, linewidth=0))
    if is_framed:
        frame = Rectangle(
            (place.column - 0.12, place.line + 0.05),
            width + 0.24,
            0.9,
            fill=False,
            edgecolor=FRAME,
            linewidth=1.2,
            zorder=3,
        )
        axes.add_patch(frame)


# A method's colour, line and marker, the same in every figure and on the page.
STYLES = {
    "gradients": (COLOURS[0], "-", "o"),
    "erasure": ("#b85400", "--", "s"),
    "lime": ("#6c3fa8", "-.", "^"),
}
TITLES = {
    "comprehensiveness": "comprehensiveness: high is good",
    "sufficiency": "sufficiency: low is good",
}
ALONG = {
    "comprehensiveness": "first words switched off",
    "sufficiency": "first words kept, all others off",
}
SMALLEST_SCALE = 0.1


def draw_curves(panel: Axes, found: Faithfulness, kind: str) -> None:
    """One of CURVES: a line a method over the number of words, in equal distances, and the random orders."""
    along = np.arange(len(found.counts))
    random = getattr(found.random, kind)
    panel.fill_between(
        along, random.low, random.high, color=RANDOM, alpha=0.25, lw=0, label="random orders"
    )
    panel.plot(along, random.mean, color=RANDOM, lw=1, linestyle=":")
    for name, curves in found.methods.items():
        colour, line, marker = STYLES[name]
        panel.plot(
            along,
            getattr(curves, kind).curve,
            color=colour,
            linestyle=line,
            marker=marker,
            ms=4,
            lw=1.6,
            label=NAMES[name],
        )
    panel.set_xticks(along, [str(count) for count in found.counts], fontsize=8)
    panel.set(xlabel=ALONG[kind], ylim=_limits(found))
    _plain(panel)


def _limits(found: Faithfulness) -> tuple[float, float]:
    """The same for both kinds, so that they can be compared: all that is drawn, with a margin.

    At least SMALLEST_SCALE is shown: curves of a span whose probability is 0.01 are flat, not blown up.
    """
    drawn: list[float] = []
    for kind in CURVES:
        random = getattr(found.random, kind)
        drawn += [*random.low, *random.high]
        for curves in found.methods.values():
            drawn += getattr(curves, kind).curve
    low, high = min(drawn), max(SMALLEST_SCALE, *drawn)
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def draw_probability(panel: Axes, result: AttributionOverSteps) -> None:
    """The probability of the true span or label over the steps; or the prediction, and what is true."""
    panel.plot(result.steps, _numbers(result.probability), color=TRUE, marker=".", lw=1.5)
    if result.text.says == "prediction":
        panel.axhline(float(result.answers[0]), color=TRUE, lw=1, linestyle="--")
    else:
        panel.set_ylim(-0.04, 1.04)
    step_ticks(panel.xaxis, np.array(result.steps))
    _plain(panel)


def _plain(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color=GRID, linewidth=0.6)


MOST_WORDS = 60
LONGEST_ROW_LABEL = 18
# Inches of a row of a heat map, and of what stands next to it.
ROW = 0.15
MARGIN = 1.6
BAR = 0.9


def strongest_words(values: Mapping[str, Float[ndarray, "step word"]], most: int) -> list[int]:
    """The `most` words that are strongest at any step, by any method, in the text's order.

    Each method counts by its own largest value: words that peak at 5 and 2 by one method, and at 0.1 and
    0.3 by another, have strengths of max(5/5, 0.1/0.3) = 1 and max(2/5, 0.3/0.3) = 1.
    """
    shares = []
    for found in values.values():
        peak = np.abs(np.nan_to_num(found)).max(axis=0)
        shares.append(peak / (peak.max() or 1.0))
    strength = np.max(shares, axis=0)
    return sorted(int(word) for word in np.argsort(-strength, kind="stable")[:most])


def words_over_steps(result: AttributionOverSteps) -> Figure:
    """A column a method: a heat map of words by steps, and above it the span's probability.

    Each method has one scale over all steps. Of more than MOST_WORDS words the strongest are shown.
    """
    words = result.text.words
    values = {
        name: np.stack([_numbers(row) for row in found.span])
        for name, found in result.methods.items()
    }
    shown = strongest_words(values, MOST_WORDS)
    height = ROW * len(shown)
    width = MARGIN + (min(max(0.16 * len(result.steps), 2.4), 5.0) + BAR) * len(values)
    figure = PlainFigure(figsize=(width, height + 2.6), layout="constrained")
    panels = figure.subplots(
        2, len(values), squeeze=False, sharex=True, height_ratios=(1.0, max(height, 1.0))
    )
    for (above, below), (name, found) in zip(panels.T, values.items(), strict=True):
        draw_probability(above, result)
        above.set_title(NAMES[name], fontsize=10, weight="bold")
        _heat_map(below, found[:, shown], np.array(result.steps), result.text.measure)
        _label_rows(below, [words[word] for word in shown] if below is panels[1, 0] else [])
    text, measured = result.text, result.measured.replace("of the true", "\nof the")
    panels[0, 0].set_ylabel(measured.replace(" \n", "\n"), fontsize=8)
    what = "the prediction" if text.says == "prediction" else result.truth
    title = f"{text.title} – the {text.unit}s of {what}"
    lines = textwrap.wrap(drawable(title), int(width / 0.085))
    if len(shown) < len(words):
        lines.append(f"(the {len(shown)} strongest of {len(words)} {text.unit}s)")
    figure.suptitle("\n".join(lines), fontsize=11, parse_math=False)
    return figure


def _heat_map(
    panel: Axes, values: Float[ndarray, "step word"], steps: Int[ndarray, " step"], measure: str
) -> None:
    image = step_map(panel, values, steps, strongest(values), SIGNED, along="x")
    panel.set_xlabel("optimizer step", fontsize=9)
    bar = panel.figure.colorbar(image, ax=panel, fraction=0.05, aspect=40)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(f"{measure}: orange opposes, blue supports", fontsize=8)


def _label_rows(panel: Axes, words: Sequence[ShownWord]) -> None:
    panel.set_yticks(
        range(len(words)),
        [shortened(drawable(word.text), LONGEST_ROW_LABEL) for word in words],
        fontsize=7.5,
        parse_math=False,
    )
    panel.tick_params(axis="y", length=0)
    for label, word in zip(panel.get_yticklabels(), words, strict=True):
        if word.in_span:
            label.set(color=TRUE, fontweight="bold")
        elif word.part == "question":
            label.set(style="italic")


def _numbers(values: Values) -> Float[ndarray, " value"]:
    """None as NaN."""
    return np.array(values, dtype=np.float64)
