"""The film of an example as one picture: what the network says over the steps, and where attention goes."""

import textwrap
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from qa_research.figures.panels import (
    COLOURS,
    CORRECT,
    WRONG,
    PlainFigure,
    drawable,
    evenly_spaced,
)
from qa_research.figures.tokens import LONGEST_TEXT, shortened
from qa_research.watch.example import ExampleFilm, number_text
from qa_research.watch.film import FilmAttention, as_weights

MOST_CAPTURES, MOST_TOKENS = 6, 96
# In inches: of a token, and of one capture's row.
ROOM, ROW = 0.135, 0.34


def example_strip(film: ExampleFilm) -> Figure:
    """Above the labels' probabilities, or the number, over the steps; below, where it was recorded, the
    attention that each token receives at up to six captures, the marked tokens framed.

    Of more than MOST_TOKENS tokens the first are shown, and the figure says so.
    """
    attention = film.attention
    if attention is not None and not len(attention.steps):
        attention = None
    shown = min(len(film.tokens), MOST_TOKENS)
    captures: list[int] = []
    if attention is not None:
        captures = evenly_spaced(len(attention.steps), MOST_CAPTURES).tolist()
    width = max(9.0, 3.2 + ROOM * shown) if attention is not None else 9.0
    below = ROW * len(captures) + 1.1 if attention is not None else 0.0
    figure = PlainFigure(figsize=(width, 3.2 + below), layout="constrained")
    rows = 2 if attention is not None else 1
    panels = figure.subplots(rows, 1, squeeze=False, height_ratios=(2.4, below)[:rows])[:, 0]
    _draw_curves(panels[0], film)
    if attention is not None:
        _draw_attention(panels[1], film, attention, captures, shown)
    title = f"{film.question_id}: {film.outcome}"
    figure.suptitle(
        "\n".join(textwrap.wrap(drawable(title), int(width / 0.09), max_lines=2, placeholder=" …")),
        fontsize=11,
        parse_math=False,
    )
    return figure


def received(attention: FilmAttention, capture: int) -> Float[np.ndarray, "layer token"]:
    """The attention that a token receives, mean over the heads and over all tokens that attend.

    Example: one head, two tokens, which attend with [0.5, 0.5] and [0, 1]: they receive 0.25 and 0.75.
    """
    weights = as_weights(attention.weights[capture])
    return np.asarray(np.nanmean(weights, axis=(1, 2)))


def _draw_curves(panel: Axes, film: ExampleFilm) -> None:
    if film.is_number:
        panel.plot(film.steps, film.scores[:, 0], color=COLOURS[0], marker=".", lw=1.5)
        panel.axhline(film.true, color=CORRECT, lw=1.2, linestyle="--")
        panel.set_ylabel(film.rows[0])
        names = [(film.rows[0], COLOURS[0]), (f"true: {number_text(film.true)}", CORRECT)]
    else:
        names = []
        for i, row in enumerate(film.rows):
            is_true = i == int(film.true)
            colour = CORRECT if is_true else WRONG
            panel.plot(
                film.steps, film.scores[:, i], color=colour, marker=".", lw=1.8 if is_true else 1.2
            )
            names.append((f"{row} (true)" if is_true else row, colour))
        panel.set(ylim=(-0.03, 1.03), ylabel="probability")
    for i, (name, colour) in enumerate(names):
        panel.text(
            1.01,
            0.95 - 0.1 * i,
            shortened(drawable(name), 24),
            transform=panel.transAxes,
            color=colour,
            fontsize=9,
            weight="bold",
            va="top",
            parse_math=False,
        )
    panel.set_xlabel("optimizer step")
    panel.spines[["top", "right"]].set_visible(False)


def _draw_attention(
    panel: Axes,
    film: ExampleFilm,
    attention: FilmAttention,
    captures: Sequence[int],
    shown: int,
) -> None:
    values = np.stack([received(attention, capture).mean(axis=0) for capture in captures])[
        :, :shown
    ]
    # Attention that favours nothing, 1/n to each of n tokens, is pale.
    most = max(float(np.nanmax(values)), 3 / len(film.tokens))
    image = panel.imshow(
        values, cmap="Purples", vmin=0, vmax=most, aspect="auto", interpolation="nearest"
    )
    panel.set_yticks(
        range(len(captures)),
        [f"step {attention.steps[capture]}" for capture in captures],
        fontsize=8,
    )
    panel.set_xticks(
        range(shown),
        [shortened(drawable(token), LONGEST_TEXT) for token in film.tokens[:shown]],
        rotation=0 if max(map(len, film.tokens)) == 1 else 90,
        fontsize=7,
        parse_math=False,
    )
    panel.tick_params(length=0)
    for token, label in enumerate(panel.get_xticklabels()):
        if token in film.marked:
            label.set(color=CORRECT, fontweight="bold")
    for first, last in runs([token for token in film.marked if token < shown]):
        corner = (first - 0.5, -0.5)
        size = (last - first + 1, len(captures))
        panel.add_patch(Rectangle(corner, *size, fill=False, edgecolor=CORRECT, linewidth=1.5))
    some = "layer" if len(attention.layers) == 1 else "layers"
    layers = ", ".join(map(str, attention.layers))
    about = f"attention that each token receives, mean over all tokens and heads of {some} {layers}"
    if film.marked:
        about += f"; framed: {film.marked_as}"
    if shown < len(film.tokens):
        about += f"; the first {shown} of {len(film.tokens)} tokens"
    panel.set_xlabel(about, fontsize=8.5, parse_math=False)
    bar = panel.figure.colorbar(image, ax=panel, fraction=0.03, aspect=12)
    bar.ax.tick_params(labelsize=7)


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The first and the last of numbers that follow each other.

    >>> runs([3, 4, 5, 9])
    [(3, 5), (9, 9)]
    """
    found = []
    for _, pairs in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in pairs]
        found.append((run[0], run[-1]))
    return found
