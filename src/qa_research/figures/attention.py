"""Maps of one head's attention for a watched question over a training. Reads and saves nothing."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.figures.panels import strongest
from qa_research.figures.recorded import at, numbers, recorded, spread, steps_of
from qa_research.figures.tokens import Window, head_line, label_tokens, window_of

MOST_STEPS = 6
COLUMNS = 3
# Of token texts in these small maps.
SIZE = 6
MAP_INCHES = (2.6, 3.0)
# More tokens than this do not have a cell each.
MOST_CELLS = 128
# The colour scale reaches at least this many times the weight of even attention: such is pale.
TIMES_EVEN = 10
# Of the strongest colour; their square roots are evenly spaced.
TICKS = np.array([0, 0.04, 0.16, 0.36, 0.64, 1])


def attention_over_steps(
    dataset: xr.Dataset,
    question: int,
    layer: int,
    head: int,
    tokens: Sequence[str],
    steps: Sequence[int] | None = None,
) -> Figure:
    """Maps query x key of one head at up to six recorded steps, on one colour scale.

    `dataset` is the group `attention`; None takes the first, the last and steps evenly between. Colour
    follows the square root of the weight, because [SEP] often takes nearly all. Thin lines part
    question and context; the true span is bold and green on both axes. In a window of more than 128
    tokens a cell stands for several, and shows the largest weight, so that no strong one is lost.

    Raises:
        ValueError: something named is not recorded, the tokens are others, or too many steps.
    """
    weight = recorded(dataset, "weight")
    window = window_of(dataset, question, tokens)
    shown = spread(steps_of(weight), MOST_STEPS) if steps is None else list(steps)
    if not 1 <= len(shown) <= MOST_STEPS:
        raise ValueError(f"steps must be 1 to {MOST_STEPS}, got {len(shown)}")
    own = slice(len(window))
    weight = at(weight, question=question, layer=layer, head=head).isel(query=own, key=own)
    maps = [numbers(at(weight, step=step), "query", "key") for step in shown]
    n_columns = 2 if len(maps) == 4 else min(COLUMNS, len(maps))
    n_rows = -(-len(maps) // n_columns)
    inches = min(max(0.1 * len(window), MAP_INCHES[0]), MAP_INCHES[1])
    figure = Figure(
        figsize=(max(n_columns * inches + 1.6, 5.2), n_rows * (0.95 * inches + 0.3) + 1.2),
        layout="compressed",
    )
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    n_pooled = -(-len(window) // MOST_CELLS)
    covered = -(-len(window) // n_pooled) * n_pooled
    top = min(max(TIMES_EVEN / len(window), strongest(*maps)), 1.0)
    scale = PowerNorm(0.5, vmin=0, vmax=top)
    for panel, one, step in zip(panels, maps, shown, strict=False):
        image = panel.imshow(
            _largest(one, n_pooled),
            cmap="Blues",
            norm=scale,
            interpolation="nearest",
            extent=(-0.5, covered - 0.5, covered - 0.5, -0.5),
        )
        panel.set(xlim=(-0.5, len(window) - 0.5), ylim=(len(window) - 0.5, -0.5))
        panel.set_title(f"step {step}", fontsize=9)
        panel.set(xticks=[], yticks=[])
        _part(panel, window)
    for panel in panels[len(maps) :]:
        panel.set_visible(False)
    for panel in panels[: len(maps)][-n_columns:]:
        label_tokens(panel.xaxis, window, inches, SIZE)
    for panel in panels[: len(maps) : n_columns]:
        label_tokens(panel.yaxis, window, inches, SIZE)
    bar = figure.colorbar(image, ax=list(panels), fraction=0.04, aspect=35, ticks=top * TICKS)
    bar.ax.set_yticklabels([f"{tick:.2g}" for tick in top * TICKS], fontsize=8)
    bar.set_label("attention (square-root scale)", fontsize=9)
    figure.supylabel("from token (query)", fontsize=9)
    figure.supxlabel("to token (key)", fontsize=9)
    more = f"Attention of layer {layer} head {head}"
    if n_pooled > 1:
        more += f" (a cell is the largest of {n_pooled} × {n_pooled} tokens)"
    head_line(figure, window, more)
    return figure


def _largest(weights: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """The largest weight of each block of n x n, from the first token on."""
    if n == 1:
        return weights
    starts = range(0, len(weights), n)
    rows = np.maximum.reduceat(weights, starts, axis=0)
    return np.asarray(np.maximum.reduceat(rows, starts, axis=1))


def _part(panel: Axes, window: Window) -> None:
    """Thin lines behind the question's last token, on both axes."""
    ends = [i for i, part in enumerate(window.parts) if part == "question"][-1:]
    for end in ends:
        for line in (panel.axhline, panel.axvline):
            line(end + 0.5, color="#999999", lw=0.5)
