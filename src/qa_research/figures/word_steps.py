"""How each word's share in a span grows over a training: a heat map a method. Reads and saves nothing."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from qa_research.figures.panels import label_captures, strongest
from qa_research.figures.tokens import drawable, shortened
from qa_research.figures.word_text import SIGNED, ShownWord

MOST_WORDS = 60
LONGEST_WORD = 18
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
        [shortened(drawable(word.text), LONGEST_WORD) for word in words],
        fontsize=7.5,
        parse_math=False,
    )
    panel.tick_params(axis="y", length=0)
    for label, word in zip(panel.get_yticklabels(), words, strict=True):
        if word.in_span:
            label.set(color="#3c7a3b", fontweight="bold")
        elif word.part == "question":
            label.set(style="italic")
