"""One unit's activation along a watched question's tokens. Reads and saves nothing."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.figures.panels import (
    at,
    frame_columns,
    legend_above,
    numbers,
    plain,
    recorded,
    signed_map,
    strongest,
)
from qa_research.figures.tokens import (
    TRUE,
    Window,
    head_line,
    label_tokens,
    token_inches,
    window_of,
)

# More layers than this are a heat map.
LINES = 4


def unit_by_token(
    dataset: xr.Dataset,
    place: str,
    question: int,
    unit: int,
    tokens: Sequence[str],
) -> Figure:
    """The value of `unit` at the site `place` by token, in every recorded layer, at the last step.

    `dataset` is the group `activations`. Up to four layers are lines, more are a heat map layer x token. A
    unit's number means something else at every site.

    Raises:
        ValueError: the site, question or unit is not recorded, or the tokens are others.
    """
    values = recorded(dataset, place).isel(step=-1)
    window = window_of(dataset, question, tokens)
    values = at(values, question=question, unit=unit).isel(token=slice(len(window)))
    # The embeddings are outside the layers.
    layers = values.get_index("layer").tolist() if "layer" in values.dims else [None]
    if layers == [None]:
        values = values.expand_dims("layer")
    shown = numbers(values, "layer", "token")
    inches = token_inches(len(window), 5, 8)
    height = 2.6 if len(layers) <= LINES else 0.2 * len(layers)
    figure = Figure(figsize=(inches + 1.4, height + 1.7), layout="constrained")
    panel = figure.subplots()
    if len(layers) <= LINES:
        _draw_lines(panel, shown, layers, window)
        mark = "shaded"
    else:
        _draw_map(panel, shown, layers, window)
        mark = "framed"
    label_tokens(panel.xaxis, window, inches)
    panel.set_xlabel(f"token of the window ({mark}: the true span)")
    name = str(dataset[place].attrs.get("long_name", "")).rstrip(".")
    title = f"Unit {unit} at {place!r}, step {int(values['step'])}"
    head_line(figure, window, f"{title}: {name}" if name else title)
    return figure


def _draw_lines(
    panel: Axes, shown: NDArray[np.float64], layers: Sequence[int | None], window: Window
) -> None:
    panel.axvspan(window.true_first - 0.5, window.true_last + 0.5, color=TRUE, alpha=0.15, lw=0)
    for i, layer in enumerate(layers):
        shade = colormaps["viridis"](0.85 * i / max(len(layers) - 1, 1))
        name = "" if layer is None else f"layer {layer}"
        panel.plot(shown[i], color=shade, lw=1.1, label=name)
    panel.set_ylabel("activation")
    plain(panel)
    panel.set_xlim(-0.5, len(window) - 0.5)
    if layers[0] is not None:
        legend_above(panel, len(layers))


def _draw_map(
    panel: Axes, shown: NDArray[np.float64], layers: Sequence[int | None], window: Window
) -> None:
    image = signed_map(panel, shown, strongest(shown))
    frame_columns(panel, window.true_first, window.true_last, len(layers))
    panel.set_yticks(range(len(layers)), [str(layer) for layer in layers])
    panel.set_ylabel("layer")
    panel.figure.colorbar(image, ax=panel, label="activation", fraction=0.05, aspect=30)
