"""Attention over a training: maps of one head, and which heads come to attend from the answer to the word
that picks it out. Reads and saves nothing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from qa_research.figures.panels import (
    LineName,
    PlainFigure,
    at,
    head_name,
    head_style,
    name_lines,
    numbers,
    plain,
    recorded,
    spread,
    start_at_zero,
    steps_of,
    strongest,
)
from qa_research.figures.tokens import (
    FONT_SIZE,
    ROOM,
    Window,
    head_line,
    label_tokens,
    window_of,
)

MOST_STEPS = 6
COLUMNS = 3
# Font size of tokens in these small maps; the least width of a map, and that of those with unnamed tokens.
SIZE = 5.5
LEAST, UNNAMED = 2.6, 3.2
# Up to so many tokens are all named on both axes; with more than WIDE inches, fewer maps are in a row.
NAMED = 64
WIDE, MOST_WIDE_STEPS = 3.4, 4
# In longer windows a cell stands for several tokens.
MOST_CELLS = 128
# The colour scale reaches at least this many times the weight of uniform attention, which so stays pale.
TIMES_UNIFORM = 10
# As shares of the strongest colour; their square roots are evenly spaced.
TICKS = np.array([0, 0.04, 0.16, 0.36, 0.64, 1])
TARGETS = {"match_context": "word in the context", "match_question": "word in the question"}
GREW_MOST = 5
# The height of a panel of lines, as a guess from below.
LINES_INCHES = 1.3


def attention_over_steps(
    dataset: xr.Dataset,
    question: int,
    layer: int,
    head: int,
    tokens: Sequence[str],
    chosen: str = "",
    asked: str = "",
    turn: int | None = None,
) -> Figure:
    """Maps query x key of one head at up to six steps, the first and last among them, on one colour scale.

    `turn`: the step at which the answer became right; the captures before and after it are among them, too.
    Up to 64 tokens are all named; as that takes room, more than about 40 have only four maps.

    `dataset` is the group `attention`. Colour follows the square root of the weight, because [SEP] often
    takes nearly all. Thin lines separate question and context; the true span is bold and green on both axes.
    In a window of more than 128 tokens a cell stands for several and shows their largest weight, so that no
    strong one is lost. `chosen`: why this head and no other, and `asked`: the question, for the title.

    Raises:
        ValueError: something named is not recorded, or the tokens are others.
    """
    weight = recorded(dataset, "weight")
    window = window_of(dataset, question, tokens, asked)
    is_wide = _map_inches(window) > WIDE
    shown = spread(steps_of(weight), MOST_WIDE_STEPS if is_wide else MOST_STEPS, turn)
    own = slice(len(window))
    weight = at(weight, question=question, layer=layer, head=head).isel(query=own, key=own)
    maps = [numbers(at(weight, step=step), "query", "key") for step in shown]
    figure, panels = _grid(len(maps), window)
    # 300 tokens in at most 128 cells: blocks of 3 x 3.
    n_pooled = math.ceil(len(window) / MOST_CELLS)
    top = min(max(TIMES_UNIFORM / len(window), strongest(*maps)), 1.0)
    scale = PowerNorm(0.5, vmin=0, vmax=top)
    for panel, one, step in zip(panels, maps, shown, strict=False):
        image = _draw_map(panel, one, n_pooled, scale, window)
        panel.set_title(f"step {step}", fontsize=9)
    bar = figure.colorbar(image, ax=list(panels), fraction=0.04, aspect=35, ticks=top * TICKS)
    bar.ax.set_yticklabels([f"{tick:.2g}" for tick in top * TICKS], fontsize=8)
    bar.set_label("attention (square-root scale)", fontsize=9)
    some = f", some of {len(window)} named …" if len(window) > NAMED else ""
    figure.supylabel(f"from token (query){some}", fontsize=9)
    figure.supxlabel(f"to token (key){some}", fontsize=9)
    more = f"attention of {head_name(layer, head)}{f', {chosen}' if chosen else ''}"
    if n_pooled > 1:
        more += f" (a cell is the largest weight of {n_pooled} × {n_pooled} tokens)"
    head_line(figure, window, more)
    return figure


def attention_of_heads(dataset: xr.Dataset, question: int, tokens: Sequence[str]) -> Figure:
    """A small map query x key of every recorded head at the last step: a row for each layer.

    `dataset` is the group `attention`. Colour follows the square root of the weight, up to 1.

    Raises:
        ValueError: nothing is recorded, or the tokens are others.
    """
    weight = recorded(dataset, "weight").isel(step=-1)
    window = window_of(dataset, question, tokens)
    own = slice(len(window))
    maps = at(weight, question=question).isel(query=own, key=own)
    shown = numbers(maps, "layer", "head", "query", "key")
    layers, heads = shown.shape[:2]
    figure = PlainFigure(figsize=(1.1 + 0.9 * heads, 1.5 + 0.95 * layers), layout="constrained")
    panels = figure.subplots(layers, heads, squeeze=False)
    scale = PowerNorm(0.5, vmin=0, vmax=1)
    names = maps.get_index("layer").tolist() if "layer" in maps.coords else list(range(layers))
    for i, j in np.ndindex(layers, heads):
        panel: Any = panels[i, j]
        image = panel.imshow(shown[i, j], cmap="Blues", norm=scale, interpolation="nearest")
        panel.set(xticks=[], yticks=[])
        if i == 0:
            panel.set_title(f"head {j}", fontsize=8)
        if j == 0:
            panel.set_ylabel(f"layer {names[i]}", fontsize=8)
    bar = figure.colorbar(image, ax=panels, fraction=0.03, aspect=35, ticks=TICKS)
    bar.ax.set_yticklabels([f"{tick:.2g}" for tick in TICKS], fontsize=8)
    bar.set_label("attention of each token (row) to each (column)", fontsize=8)
    head_line(figure, window)
    return figure


def _map_inches(window: Window) -> float:
    """The width of a map."""
    if len(window) > NAMED:
        return UNNAMED
    return max(LEAST, ROOM * SIZE / FONT_SIZE * len(window))


def _grid(n_maps: int, window: Window) -> tuple[Figure, NDArray[np.object_]]:
    """A figure with a panel for each map, and tokens along its lower and left edge."""
    # Four maps as two rows of two, others in rows of three.
    n_columns = 2 if n_maps == 4 else min(COLUMNS, n_maps)
    n_rows = math.ceil(n_maps / n_columns)
    inches = _map_inches(window)
    size = max(n_columns * inches + 1.6, 5.2), n_rows * (0.95 * inches + 0.3) + 1.2
    figure = PlainFigure(figsize=size, layout="compressed")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for panel in panels[n_maps:]:
        panel.set_visible(False)
    used = panels[:n_maps]
    for panel in used:
        panel.set(xticks=[], yticks=[])
    for panel in used[-n_columns:]:
        label_tokens(panel.xaxis, window, inches, SIZE)
    for panel in used[::n_columns]:
        label_tokens(panel.yaxis, window, inches, SIZE)
    return figure, panels


def _draw_map(
    panel: Axes, weights: NDArray[np.float64], n_pooled: int, scale: PowerNorm, window: Window
) -> AxesImage:
    pooled = _largest(weights, n_pooled)
    # The last block may reach beyond the window; the limits hide that part.
    covered = len(pooled) * n_pooled
    image = panel.imshow(
        pooled,
        cmap="Blues",
        norm=scale,
        interpolation="nearest",
        extent=(-0.5, covered - 0.5, covered - 0.5, -0.5),
    )
    panel.set(xlim=(-0.5, len(window) - 0.5), ylim=(len(window) - 0.5, -0.5))
    for last in [i for i, part in enumerate(window.parts) if part == "question"][-1:]:
        for line in (panel.axhline, panel.axvline):
            line(last + 0.5, color="#999999", lw=0.5)
    return image


def _largest(weights: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """The largest weight of each block of n x n; the blocks at the end may be smaller."""
    starts = range(0, len(weights), n)
    rows = np.maximum.reduceat(weights, starts, axis=0)
    return np.asarray(np.maximum.reduceat(rows, starts, axis=1))


def answer_to_match(dataset: xr.Dataset) -> Figure:
    """Attention from the answer to the matching word, by layer and head, and how it grew.

    `dataset` is the group `heads`. The matching word picks out the fact that the question asks for. All
    numbers are means over the watched questions that have one in both texts. Heat maps: the first recorded
    step, the last one and their difference. Lines: the heads that grew most.

    Raises:
        ValueError: nothing is recorded, or no question has an answer and a matching word.
    """
    weight = recorded(dataset, "group_weight")
    steps = steps_of(weight)
    means, n_questions = _means(weight)
    layers, heads = ([int(i) for i in weight.get_index(axis)] for axis in ("layer", "head"))
    maps, lines = 0.48 * len(layers) + 2, 2.4
    width = 3 * min(max(0.24 * len(heads), 2.1), 3.2) + 2.2
    figure = PlainFigure(figsize=(max(width, 8.2), maps + lines + 0.6), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(maps, lines), hspace=0.04)
    above, below = parts
    _maps(above, means, steps, layers, heads)
    _lines(below.subplots(1, 2, sharey=True), means, steps, layers, heads)
    watched = weight.sizes["question"]
    figure.suptitle(
        "Attention from the answer to the matching word\n"
        f"(mean over {n_questions} of {watched} watched questions: those with an answer and such a word)",
        fontsize=11,
    )
    return figure


def _means(weight: xr.DataArray) -> tuple[dict[str, NDArray[np.float64]], int]:
    """The mean over questions [step layer head] by target, and the number of questions."""
    axes = ("question", "step", "layer", "head")
    weight = at(weight, source="answer").compute()
    values = {target: numbers(at(weight, target=target), *axes) for target in TARGETS}
    # Whether a group of tokens is empty does not change over the steps.
    complete = np.all(
        [np.isfinite(value[:, 0]).all(axis=(1, 2)) for value in values.values()], axis=0
    )
    if not complete.any():
        raise ValueError(
            "no watched question has an answer and a word that matches it, so there is no attention "
            f"from the answer to the matching word; watched: {weight.sizes['question']} questions"
        )
    return {target: value[complete].mean(axis=0) for target, value in values.items()}, int(
        complete.sum()
    )


def _maps(
    figure: SubFigure,
    means: Mapping[str, NDArray[np.float64]],
    steps: NDArray[np.int64],
    layers: Sequence[int],
    heads: Sequence[int],
) -> None:
    """A row for each target: the first step, the last one and the difference; or the only step."""
    several = len(steps) > 1
    panels = figure.subplots(2, 3 if several else 1, squeeze=False, sharex=True, sharey=True)
    most = strongest(*means.values())
    change = strongest(*(values[-1] - values[0] for values in means.values()))
    for row, (target, name) in zip(panels, TARGETS.items(), strict=True):
        first, last = means[target][0], means[target][-1]
        row[0].set_ylabel("layer", fontsize=9)
        image = _heat(row[0], first, layers, heads, "Blues", (0, most))
        row[0].set_title(f"{name}, step {steps[0]}", fontsize=8.5)
        if several:
            _heat(row[1], last, layers, heads, "Blues", (0, most))
            row[1].set_title(f"{name}, step {steps[-1]}", fontsize=8.5)
            grown = _heat(row[2], last - first, layers, heads, "RdBu_r", (-change, change))
            row[2].set_title(f"{name}, difference", fontsize=8.5)
    for panel in panels[-1]:
        panel.set_xlabel("head", fontsize=9)
    bars = [figure.colorbar(image, ax=panels[:, :2], fraction=0.05, aspect=25, label="attention")]
    if several:
        right = panels[:, 2]
        bars.append(figure.colorbar(grown, ax=right, fraction=0.1, aspect=25, label="difference"))
    for bar in bars:
        bar.ax.tick_params(labelsize=8)


def _heat(
    panel: Axes,
    values: NDArray[np.float64],
    layers: Sequence[int],
    heads: Sequence[int],
    colours: str,
    limits: tuple[float, float],
) -> AxesImage:
    image = panel.imshow(
        values, origin="lower", aspect="auto", cmap=colours, vmin=limits[0], vmax=limits[1]
    )
    panel.set_xticks(range(len(heads)), [str(head) for head in heads], fontsize=8)
    panel.set_yticks(range(len(layers)), [str(layer) for layer in layers], fontsize=8)
    panel.tick_params(length=0)
    return image


def _lines(
    panels: NDArray[np.object_],
    means: Mapping[str, NDArray[np.float64]],
    steps: NDArray[np.int64],
    layers: Sequence[int],
    heads: Sequence[int],
) -> None:
    """For each target the heads that grew most over the steps; with one step, those that attend most."""
    named: list[tuple[Axes, list[LineName]]] = []
    for panel, (target, name) in zip(panels, TARGETS.items(), strict=True):
        grown = (means[target][-1] - means[target][0]).ravel()
        ranked = grown if len(steps) > 1 else means[target][0].ravel()
        caption = "the heads that grew most" if len(steps) > 1 else "the heads that attend most"
        order = [int(i) for i in np.argsort(-ranked, kind="stable") if ranked[i] > 0]
        if not order:
            caption = "no head grew"
            panel.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
        names = []
        for index in order[:GREW_MOST]:
            layer, head = index // len(heads), index % len(heads)
            values = means[target][:, layer, head]
            own = layers[layer], heads[head]
            colour, style = head_style(*own)
            marker = "o" if len(steps) == 1 else ""
            panel.plot(
                steps, values, style, marker=marker, color=colour, lw=1.6, label=head_name(*own)
            )
            names.append(LineName(float(values[-1]), head_name(*own), colour))
        named.append((panel, names))
        panel.set_title(f"{name}: {caption}", loc="left", fontsize=9)
        panel.set_xlabel("optimizer step", fontsize=9)
        plain(panel, n_ticks=4)
    panels[0].set_ylabel("attention", fontsize=9)
    start_at_zero(panels[0])
    for panel, names in named:
        name_lines(panel, names, LINES_INCHES)
