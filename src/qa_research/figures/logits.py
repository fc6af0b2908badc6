"""One watched question by token over a training: its logits, and one unit's activation. Saves nothing."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray

from qa_research.figures.panels import (
    GREY,
    PlainFigure,
    at,
    frame_columns,
    legend_above,
    numbers,
    plain,
    recorded,
    signed_map,
    spread,
    step_map,
    steps_of,
    strongest,
)
from qa_research.figures.tokens import (
    TRUE,
    Window,
    head_line,
    label_tokens,
    token_axis,
    token_inches,
    window_of,
)

ROWS = ("start", "end")
# Early to late.
SHADES = ("#b9c6cf", "#5b9bb8", "#0b3c5d")


def logits_over_steps(
    dataset: xr.Dataset, question: int, tokens: Sequence[str], asked: str = ""
) -> Figure:
    """Heat maps step x token of the start and the end logits; the true span is framed.

    `dataset` is the group `logits`, `tokens` the texts of the window's tokens, `asked` the question as it was
    asked, for the title. A row is a capture, at its step, the latest on top. A triangle points at the token
    where the true answer starts, or ends.

    Raises:
        ValueError: the question is not watched, has other tokens, or nothing is recorded.
    """
    logit = recorded(dataset, "logit")
    window = window_of(dataset, question, tokens, asked)
    logit = at(logit, question=question).isel(token=slice(len(window))).compute()
    steps = steps_of(logit)
    values = {row: numbers(at(logit, row=row), "step", "token") for row in ROWS}
    most = strongest(*values.values())
    inches = token_inches(len(window), 5, 8)
    height = min(max(0.12 * len(steps), 0.5), 2.2)
    figure = PlainFigure(figsize=(inches + 1.6, 2 * height + 2.1), layout="constrained")
    panels = figure.subplots(len(ROWS), sharex=True)
    for panel, row, true in zip(panels, ROWS, (window.true_first, window.true_last), strict=True):
        image = step_map(panel, values[row], steps, most)
        frame_columns(panel, window.true_first, window.true_last)
        above = offset_copy(panel.get_xaxis_transform(), figure, y=6, units="points")
        panel.plot(true, 1, marker="v", ms=6, color=TRUE, transform=above, clip_on=False)
        panel.set_title(f"{row} logits", loc="left", fontsize=10, pad=13)
    panels[0].tick_params(axis="x", bottom=False, labelbottom=False)
    label_tokens(panels[-1].xaxis, window, inches)
    panels[-1].set_xlabel(token_axis(window, inches, "framed"))
    figure.supylabel("optimizer step", fontsize=10)
    figure.colorbar(image, ax=list(panels), label="logit", fraction=0.05, aspect=40)
    head_line(figure, window)
    return figure


def logits_at_three_steps(
    dataset: xr.Dataset,
    question: int,
    tokens: Sequence[str],
    asked: str = "",
    turn: int | None = None,
) -> Figure:
    """Lines by token: the start and the end logits at the first, middle and last recorded step.

    `turn`: the step at which the answer became right, in place of the middle one.
    `dataset` is the group `logits`. The true span is shaded, with a mark on its first (start) or last
    token (end) of each line.

    Raises:
        ValueError: the question is not watched, has other tokens, or nothing is recorded.
    """
    logit = recorded(dataset, "logit")
    window = window_of(dataset, question, tokens, asked)
    logit = at(logit, question=question).isel(token=slice(len(window))).compute()
    shown = spread(steps_of(logit), 3, turn)
    inches = token_inches(len(window), 5, 8)
    figure = PlainFigure(figsize=(inches + 0.9, 5.4), layout="constrained")
    panels = figure.subplots(len(ROWS), sharex=True)
    for panel, row, true in zip(panels, ROWS, (window.true_first, window.true_last), strict=True):
        panel.axvspan(window.true_first - 0.5, window.true_last + 0.5, color=TRUE, alpha=0.15, lw=0)
        for step, shade in zip(shown, SHADES[-len(shown) :], strict=True):
            values = numbers(at(logit, row=row, step=step), "token")
            panel.plot(values, color=shade, lw=1.3, label=f"step {step}")
            panel.plot(true, values[true], marker="o", ms=4, color=shade, mec=TRUE)
        panel.set_title(f"{row} logits", loc="left", fontsize=10)
        panel.set_ylabel("logit")
        plain(panel)
        panel.set_xlim(-0.5, len(window) - 0.5)
    legend_above(panels[0], len(shown))
    panels[0].tick_params(axis="x", bottom=False, labelbottom=False)
    label_tokens(panels[-1].xaxis, window, inches)
    panels[-1].set_xlabel(token_axis(window, inches, "shaded"))
    head_line(figure, window)
    return figure


# More layers than this are a heat map.
LINES = 4


def unit_by_token(
    dataset: xr.Dataset,
    place: str,
    question: int,
    unit: int,
    tokens: Sequence[str],
    asked: str = "",
) -> Figure:
    """The value of `unit` at the site `place` by token, in every recorded layer, at the last step.

    `dataset` is the group `activations`. Up to four layers are lines, more are a heat map layer x token. A
    unit's number means something else at every site.

    Raises:
        ValueError: the site, question or unit is not recorded, or the tokens are others.
    """
    values = recorded(dataset, place).isel(step=-1)
    window = window_of(dataset, question, tokens, asked)
    values = at(values, question=question, unit=unit).isel(token=slice(len(window)))
    # The embeddings are outside the layers.
    layers = values.get_index("layer").tolist() if "layer" in values.dims else [None]
    if layers == [None]:
        values = values.expand_dims("layer")
    shown = numbers(values, "layer", "token")
    inches = token_inches(len(window), 5, 8)
    height = 2.6 if len(layers) <= LINES else 0.2 * len(layers)
    figure = PlainFigure(figsize=(inches + 1.4, height + 1.7), layout="constrained")
    panel = figure.subplots()
    if len(layers) <= LINES:
        _draw_lines(panel, shown, layers, window)
        mark = "shaded"
    else:
        _draw_map(panel, shown, layers, window)
        mark = "framed"
    label_tokens(panel.xaxis, window, inches)
    panel.set_xlabel(token_axis(window, inches, mark))
    name = str(dataset[place].attrs.get("long_name", "")).rstrip(".")
    title = f"unit {unit} of {place}, step {int(values['step'])}"
    head_line(figure, window, f"{title}: {name}" if name else title)
    return figure


def unit_at_places(
    dataset: xr.Dataset, question: int, unit: int, tokens: Sequence[str], asked: str = ""
) -> Figure:
    """The value of `unit` by token at three places: what the heads of the first and of the last layer put out
    next to each other, and the last layer's output. At the last step.

    `dataset` is a group of activations with `context` and `layer_output`. Each place has an axis of its own,
    because a unit's number means something else at each.

    Raises:
        ValueError: the question or unit is not recorded, or the tokens are others.
    """
    window = window_of(dataset, question, tokens, asked)
    layers = dataset["layer"].values.tolist()
    places = [("context", layers[0]), ("context", layers[-1]), ("layer_output", layers[-1])]
    places = list(dict.fromkeys(places))
    inches = token_inches(len(window), 5, 8)
    figure = PlainFigure(figsize=(inches + 0.9, 1.5 * len(places) + 1.6), layout="constrained")
    panels = figure.subplots(len(places), sharex=True)
    for panel, (place, layer) in zip(panels, places, strict=True):
        values = recorded(dataset, place).isel(step=-1)
        values = at(values, question=question, unit=unit, layer=layer)
        _shade(panel, window)
        panel.axhline(0, color=GREY, lw=0.6)
        panel.plot(
            numbers(values.isel(token=slice(len(window))), "token"), color=SHADES[-1], lw=1.2
        )
        what = "all heads' outputs" if place == "context" else "what the layer passes on"
        panel.set_title(f"{place} of layer {layer}: {what}", loc="left", fontsize=10)
        panel.set_ylabel("value")
        plain(panel)
        panel.set_xlim(-0.5, len(window) - 0.5)
    for panel in panels[:-1]:
        panel.tick_params(axis="x", bottom=False, labelbottom=False)
    label_tokens(panels[-1].xaxis, window, inches)
    panels[-1].set_xlabel(token_axis(window, inches, "shaded"))
    head_line(figure, window, f"unit {unit}, step {int(dataset['step'][-1])}")
    return figure


def _shade(panel: Axes, window: Window) -> None:
    """What is true, behind the lines."""
    for first, last in window.true_runs:
        panel.axvspan(first - 0.5, last + 0.5, color=TRUE, alpha=0.15, lw=0)


def _draw_lines(
    panel: Axes, shown: NDArray[np.float64], layers: Sequence[int | None], window: Window
) -> None:
    _shade(panel, window)
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
    for first, last in window.true_runs:
        frame_columns(panel, first, last)
    panel.set_yticks(range(len(layers)), [str(layer) for layer in layers])
    panel.set_ylabel("layer")
    panel.figure.colorbar(image, ax=panel, label="activation", fraction=0.05, aspect=30)
