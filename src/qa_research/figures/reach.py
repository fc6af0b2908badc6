"""How far networks look from a position, where attention goes in an example, and the steps of its tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from qa_research.figures.panels import COLOURS, GREY, PlainFigure, plain
from qa_research.figures.tokens import LONGEST_TEXT, shortened

# Weaker ones are not drawn: a gradient of exactly 0 has no logarithm.
LEAST = 1e-4
# Readable on a phone.
INCHES = 5.2
# Of an example by token; and the inches that a token takes.
MOST_TOKENS, ROOM = 96, 0.12


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
    longest = max((tokens for tokens, _, _ in rows), key=len)
    figure, panels = _by_token(len(rows), longest)
    for panel, (tokens, steps, marked) in zip(panels, rows, strict=True):
        _bars(panel, tokens, steps, marked)
        panel.set(ylim=(0, most), xlim=(-1, min(len(steps), MOST_TOKENS)))
    figure.supylabel("steps", fontsize=10)
    return figure


def attention_received(
    by_layer: Mapping[str, NDArray[np.float64]],
    tokens: Sequence[str],
    marked: Sequence[int],
    marked_as: str,
) -> Figure:
    """The attention that each token of an example receives: a panel for each layer, by its name.

    Weights [head query key]; a bar is the mean over heads and queries, a dashed line what each token would
    have if all had the same. Marked tokens, which are `marked_as`, are coloured, and their share is said.
    """
    figure, panels = _by_token(len(by_layer), tokens)
    for panel, (name, weights) in zip(panels, by_layer.items(), strict=True):
        received = np.asarray(weights, dtype=np.float64).mean(axis=(0, 1))
        _bars(panel, tokens, received, marked)
        panel.axhline(1 / len(received), color=GREY, lw=0.8, linestyle="--")
        panel.set_xlim(-1, min(len(received), MOST_TOKENS))
        told = name
        if marked:
            share, even = received[list(marked)].sum(), len(marked) / len(received)
            told += f": {share:.0%} goes to {marked_as} tokens, which are {even:.0%} of all"
        panel.set_title(told, fontsize=9, loc="left")
    figure.supylabel("attention received", fontsize=10)
    return figure


def _by_token(count: int, tokens: Sequence[str]) -> tuple[Figure, Any]:
    """A figure with panels that are wide enough for the tokens, one below the other."""
    shown = tokens[:MOST_TOKENS]
    width = max(8.4, 1.2 + ROOM * len(shown))
    longest = max(len(shortened(token, LONGEST_TEXT)) for token in shown)
    below = 0.0 if longest == 1 else 0.07 * longest
    figure = PlainFigure(figsize=(width, 0.6 + (1.25 + below) * count), layout="constrained")
    if len(tokens) > MOST_TOKENS:
        figure.supxlabel(f"the first {MOST_TOKENS} of {len(tokens)} tokens", fontsize=9)
    return figure, figure.subplots(count, 1, sharey=True, squeeze=False)[:, 0]


def _bars(
    panel: Any, tokens: Sequence[str], values: NDArray[np.float64], marked: Sequence[int]
) -> None:
    """A bar over each token, coloured where it is marked."""
    places = np.arange(min(len(values), MOST_TOKENS))
    own = set(marked)
    colours = [COLOURS[1] if place in own else GREY for place in places]
    panel.bar(places, values[: len(places)], width=0.85, color=colours)
    plain(panel)
    texts = [shortened(token, LONGEST_TEXT) for token in tokens[: len(places)]]
    is_letters = all(len(text) == 1 for text in texts)
    panel.set_xticks(places, texts, fontsize=8 if is_letters else 7)
    panel.tick_params(axis="x", length=0, rotation=0 if is_letters else 90)
