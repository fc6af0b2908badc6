"""A text whose words are coloured by how much they support or oppose something. Reads and saves nothing.

What is lost with a ranking's first words off, or with only them on. Reads and saves nothing.

One text, its words coloured by each method, and how faithful the methods are. Reads and saves nothing.

How each word's share in a span grows over a training: a heat map a method. Reads and saves nothing.

The pictures of an attribution, drawn from what stands in its attribution.json.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy import ndarray

from qa_research.explain.words.result import NAMES
from qa_research.figures.panels import COLOURS, label_captures, strongest
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


STYLES = (("#0b6e99", "-", "o"), ("#c25a00", "--", "s"), ("#6c3fa8", "-.", "^"))


@dataclass(frozen=True)
class Band:
    """Mean, lowest and highest of the random orders' curves."""

    mean: Float[ndarray, " count"]
    low: Float[ndarray, " count"]
    high: Float[ndarray, " count"]


def faithfulness_panel(
    panel: Axes,
    counts: Int[ndarray, " count"],
    curves: Mapping[str, Float[ndarray, " count"]],
    random: Band,
) -> None:
    """A line a method over the number of words, and the band of random orders, in equal distances.

    Raises:
        ValueError: more methods than there are line styles.
    """
    if len(curves) > len(STYLES):
        raise ValueError(f"{len(curves)} methods are more than the {len(STYLES)} line styles")
    along = np.arange(len(counts))
    panel.fill_between(
        along, random.low, random.high, color=COLOURS[5], alpha=0.25, lw=0, label="random orders"
    )
    panel.plot(along, random.mean, color=COLOURS[5], lw=1, linestyle=":")
    for (name, curve), (colour, line, mark) in zip(curves.items(), STYLES, strict=False):
        panel.plot(
            along, curve, color=colour, linestyle=line, marker=mark, ms=4, lw=1.6, label=name
        )
    panel.set_xticks(along, [str(count) for count in counts], fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)


def curves_beside(
    panels: Sequence[Axes],
    counts: Int[ndarray, " count"],
    comprehensiveness: Mapping[str, Float[ndarray, " count"]],
    sufficiency: Mapping[str, Float[ndarray, " count"]],
    random: tuple[Band, Band],
) -> None:
    """Comprehensiveness in the first panel, sufficiency in the second, with what is good in the titles."""
    faithfulness_panel(panels[0], counts, comprehensiveness, random[0])
    faithfulness_panel(panels[1], counts, sufficiency, random[1])
    panels[0].set_title("comprehensiveness: high is good", fontsize=9.5, loc="left")
    panels[1].set_title("sufficiency: low is good", fontsize=9.5, loc="left")
    panels[0].set(xlabel="first words switched off", ylabel="probability lost")
    panels[1].set(xlabel="first words kept, all others off")


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


MOST_WORDS = 60
LONGEST_ROW_LABEL = 18
ROW = 0.15


def shown_words(values: Mapping[str, Float[ndarray, "step word"]], most: int) -> list[int]:
    """The words that a figure has room for, in the text's order: those strongest at any step, by any method.

    Each method counts by its own largest value.
    """
    n_words = next(iter(values.values())).shape[1]
    strength = np.zeros(n_words)
    for found in values.values():
        peak = np.abs(np.nan_to_num(found)).max(axis=0)
        strength = np.maximum(strength, peak / (peak.max() or 1.0))
    return sorted(int(word) for word in np.argsort(-strength, kind="stable")[:most])


def words_over_steps(
    title: str,
    words: Sequence[ShownWord],
    steps: Int[ndarray, " step"],
    values: Mapping[str, Float[ndarray, "step word"]],
    probability: Float[ndarray, " step"],
) -> Figure:
    """A column a method: words by captures, and above it the span's probability.

    Each method has one scale over all steps. Of more than MOST_WORDS words the strongest are shown.

    Raises:
        ValueError: no step, no method, or values that do not fit words and steps.
    """
    shape = (len(steps), len(words))
    if not len(steps) or not values or any(found.shape != shape for found in values.values()):
        raise ValueError(f"each method needs values of the shape {shape}, with at least one step")
    shown = shown_words(values, MOST_WORDS)
    height = ROW * len(shown)
    width = min(max(0.16 * len(steps), 2.4), 5.0)
    figure = Figure(figsize=(1.6 + (width + 0.9) * len(values), height + 2.6), layout="constrained")
    panels = figure.subplots(
        2, len(values), squeeze=False, sharex=True, height_ratios=(1.0, max(height, 1.0))
    )
    for column, (name, found) in enumerate(values.items()):
        _curve(panels[0, column], probability, column == 0)
        panels[0, column].set_title(name, fontsize=10, weight="bold")
        below = panels[1, column]
        most = strongest(found[:, shown])
        image = below.imshow(
            found[:, shown].T,
            aspect="auto",
            interpolation="nearest",
            cmap=SIGNED,
            vmin=-most,
            vmax=most,
        )
        label_captures(below.xaxis, steps)
        below.set_xlabel("optimizer step", fontsize=9)
        _label(below, [words[word] for word in shown] if column == 0 else [])
        bar = figure.colorbar(image, ax=below, fraction=0.05, aspect=40)
        bar.ax.tick_params(labelsize=7)
        bar.set_label("logits: orange opposes, blue supports", fontsize=8)
    lines = textwrap.wrap(title, int((1.6 + (width + 0.9) * len(values)) / 0.085))
    if len(shown) < len(words):
        lines.append(f"(the {len(shown)} strongest of {len(words)} words)")
    figure.suptitle("\n".join(lines), fontsize=11, parse_math=False)
    return figure


def _curve(panel: Axes, probability: Float[ndarray, " step"], is_first: bool) -> None:
    panel.plot(np.arange(len(probability)), probability, color="#3c7a3b", marker=".", lw=1.5)
    panel.set_ylim(-0.04, 1.04)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    if is_first:
        panel.set_ylabel("probability\nof the span", fontsize=8)


def _label(panel: Axes, words: Sequence[ShownWord]) -> None:
    panel.set_yticks(
        range(len(words)),
        [shortened(drawable(word.text), LONGEST_ROW_LABEL) for word in words],
        fontsize=7.5,
        parse_math=False,
    )
    panel.tick_params(axis="y", length=0)
    for label, word in zip(panel.get_yticklabels(), words, strict=True):
        if word.in_span:
            label.set(color="#3c7a3b", fontweight="bold")
        elif word.part == "question":
            label.set(style="italic")


def sheet_of(document: Mapping[str, Any]) -> Figure:
    """The text with its words coloured by each method, for the sum of both logits, and the curves."""
    faithful = document["faithfulness"]
    kinds = ("comprehensiveness", "sufficiency")
    curves = {
        kind: {NAMES[name]: numbers(m[kind]["curve"]) for name, m in faithful["methods"].items()}
        for kind in kinds
    }
    bands = [
        Band(*(numbers(faithful["random"][kind][name]) for name in ("mean", "low", "high")))
        for kind in kinds
    ]
    return word_sheet(
        Sheet(
            title=document["question"],
            quantity=document["quantity"],
            words=shown_words_of(document),
            values={name: numbers(found["span"]) for name, found in document["methods"].items()},
            captions={name: caption(name, found) for name, found in document["methods"].items()},
            counts=np.array(faithful["counts"]),
            comprehensiveness=curves["comprehensiveness"],
            sufficiency=curves["sufficiency"],
            random=(bands[0], bands[1]),
            notes=document["warnings"],
        )
    )


def steps_figure(document: Mapping[str, Any]) -> Figure:
    """Words by steps, a column a method, for the sum of both logits."""
    return words_over_steps(
        f"{document['question']} - the words of {said(document)}",
        shown_words_of(document),
        np.array(document["steps"]),
        {
            NAMES[name]: np.stack([numbers(row) for row in found["span"]])
            for name, found in document["methods"].items()
        },
        numbers(document["probability"]),
    )


def said(document: Mapping[str, Any]) -> str:
    """The span in quotation marks, or "no answer"."""
    return f"“{document['span']['text']}”" if document["span"]["text"] else "“no answer”"


def caption(name: str, found: Mapping[str, Any]) -> str:
    """A method's name, and what tells how well it worked."""
    if name == "gradients":
        worst = max(error if error is not None else float("inf") for error in found["error"])
        return f"{NAMES[name]} ({found['steps']} steps, {100 * worst:.1f} % of the sum missing)"
    if name == "lime":
        unseen = found["unseen_r2"]
        r2 = "not a number" if unseen is None else f"{unseen:.2f}"
        return f"{NAMES[name]} (R2 on unseen masks {r2}, overlap of repeats {found['overlap']:.2f})"
    return f"{NAMES[name]} (one word at a time)"


def shown_words_of(document: Mapping[str, Any]) -> list[ShownWord]:
    """The words with what a figure must know of each."""
    found = []
    end = {"question": 0, "context": 0}
    for word in document["words"]:
        part = word["part"]
        between = document[part][end[part] : word["char_start"]]
        found.append(ShownWord(word["text"], part, word["in_span"], between != ""))
        end[part] = word["char_end"]
    return found


def numbers(values: Sequence[float | None]) -> Float[ndarray, " value"]:
    """Numbers from JSON: null is NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
