"""One unit's activation along a watched question's tokens. Reads and saves nothing."""

from collections.abc import Sequence

import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure

from qa_research.figures.panels import (
    at,
    frame_columns,
    last_step,
    legend_above,
    listing,
    numbers,
    plain,
    recorded,
    signed_map,
    strongest,
)
from qa_research.figures.tokens import TRUE, head_line, label_tokens, token_inches, window_of

# More layers than this are a heat map.
LINES = 4


def unit_by_token(
    dataset: xr.Dataset,
    place: str,
    question: int,
    unit: int,
    tokens: Sequence[str],
    step: int | None = None,
) -> Figure:
    """The value of `unit` at `place` by token, in every layer recorded there; None: the last step.

    `dataset` is the group `activations`. Up to four layers are lines, more are a heat map
    layer x token. The same unit number is another thing at another place.

    Raises:
        ValueError: the place, question, unit or step is not recorded, or the tokens are others.
    """
    places = [name for name, array in dataset.data_vars.items() if "unit" in array.dims]
    if place not in places:
        raise ValueError(f"place {place!r} is not recorded; recorded: {listing(places)}")
    values = recorded(dataset, place)
    window = window_of(dataset, question, tokens)
    step = last_step(values, step)
    values = at(values, question=question, unit=unit, step=step).isel(token=slice(len(window)))
    if "layer" not in values.dims:
        values = values.expand_dims("layer")
        names = [""]
    else:
        names = [f"layer {layer}" for layer in values.get_index("layer")]
    shown = numbers(values, "layer", "token")
    inches = token_inches(len(window), 5, 8)
    height = 2.6 if len(names) <= LINES else 0.2 * len(names)
    figure = Figure(figsize=(inches + 1.4, height + 1.7), layout="constrained")
    panel = figure.subplots()
    if len(names) <= LINES:
        panel.axvspan(window.true_first - 0.5, window.true_last + 0.5, color=TRUE, alpha=0.15, lw=0)
        for i, name in enumerate(names):
            shade = colormaps["viridis"](0.85 * i / max(len(names) - 1, 1))
            panel.plot(shown[i], color=shade, lw=1.1, label=name)
        panel.set_ylabel("activation")
        plain(panel)
        panel.set_xlim(-0.5, len(window) - 0.5)
        if any(names):
            legend_above(panel, len(names))
    else:
        image = signed_map(panel, shown, strongest(shown))
        frame_columns(panel, window.true_first, window.true_last, len(names))
        panel.set_yticks(range(len(names)), [str(layer) for layer in values.get_index("layer")])
        panel.set_ylabel("layer")
        figure.colorbar(image, ax=panel, label="activation", fraction=0.05, aspect=30)
    label_tokens(panel.xaxis, window, inches)
    mark = "shaded" if len(names) <= LINES else "frame"
    panel.set_xlabel(f"token of the window ({mark}: the true span)")
    said = str(dataset[place].attrs.get("long_name", "")).rstrip(".")
    head_line(
        figure,
        window,
        f"Unit {unit} at the place {place!r}, step {step}" + (f": {said}" if said else ""),
    )
    return figure
