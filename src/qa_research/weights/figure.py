"""The weight matrices of a run, drawn: directions by layer, how fast they change, and the heads."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.figures.panels import PlainFigure
from qa_research.weights.measuring import OV, QK, HeadHistory, MatrixHistory, Measured

# Kinds that each layer has one matrix of, as a rule.
INSIDE = ("query", "key", "query_key_value", "value", "attention_output", "mlp_in", "mlp_out")
MOST_TICKS, MOST_NUMBERS = 6, 80


def weights_figure(found: Measured) -> Figure:
    """Maps of layers and kinds at the last checkpoint, of change over steps, and of heads."""
    inside = [one for one in found.matrices if one.layer >= 0 and one.kind in INSIDE]
    changes = [one for one in found.matrices if len(one.steps) > 1]
    count = bool(inside) + bool(changes) + 2 * bool(found.heads)
    figure = PlainFigure(figsize=(4.4 * max(count, 1), 4.2), layout="constrained")
    panels = iter(figure.subplots(1, max(count, 1), squeeze=False)[0])
    if inside:
        _directions(next(panels), inside)
    if changes:
        _changes(next(panels), changes)
    for product in (QK, OV) if found.heads else ():
        _heads(next(panels), [one for one in found.heads if one.product == product], product)
    if not count:
        panel = next(panels)
        panel.text(0.5, 0.5, "one checkpoint, and no layers", ha="center", va="center")
        panel.set_axis_off()
    return figure


def _directions(panel: Axes, inside: Sequence[MatrixHistory]) -> None:
    kinds = [kind for kind in INSIDE if any(one.kind == kind for one in inside)]
    layers = sorted({one.layer for one in inside})
    table = np.full((len(layers), len(kinds)), np.nan)
    for one in inside:
        share = 100 * one.steps[-1].spread.participation / one.chance.participation
        table[layers.index(one.layer), kinds.index(one.kind)] = share
    _map(panel, table, "Participation ratio, % of random matrices'", "{:.0f}")
    names = [kind.replace("_", " ") for kind in kinds]
    panel.set_xticks(range(len(kinds)), names, rotation=90)
    panel.set_yticks(range(len(layers)), [str(layer) for layer in layers])
    panel.set(ylabel="layer")


def _changes(panel: Axes, changes: Sequence[MatrixHistory]) -> None:
    """The mean relative change a step of the matrices of each part, between kept steps."""
    layers = sorted({one.layer for one in changes if one.layer >= 0})
    parts = {
        "embeddings": [one for one in changes if one.kind == "embeddings"],
        **{f"layer {layer}": [one for one in changes if one.layer == layer] for layer in layers},
        "head": [one for one in changes if one.layer < 0 and one.kind != "embeddings"],
    }
    parts = {name: some for name, some in parts.items() if some}
    steps = [at.step for at in changes[0].steps][1:]
    table = np.array(
        [[_mean_rate(some, place) for place in range(1, len(steps) + 1)] for some in parts.values()]
    )
    _map(panel, table, "Change a step, % of the norm")
    panel.set_yticks(range(len(parts)), list(parts))
    shown = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_TICKS)).round())
    ticks = [(int(place), steps[int(place)]) for place in shown]
    panel.set_xticks(
        [place for place, _ in ticks], ["?" if step is None else f"{step:,}" for _, step in ticks]
    )
    panel.set(xlabel="until step")


def _mean_rate(some: Sequence[MatrixHistory], place: int) -> float:
    rates = [rate for one in some if (rate := one.steps[place].rate) is not None]
    return 100 * float(np.mean(rates)) if rates else float("nan")


def _heads(panel: Axes, own: Sequence[HeadHistory], product: str) -> None:
    layers, heads = (sorted({getattr(one, axis) for one in own}) for axis in ("layer", "head"))
    table = np.full((len(layers), len(heads)), np.nan)
    for one in own:
        table[layers.index(one.layer), heads.index(one.head)] = one.steps[-1].spread.participation
    chance = own[0].chance.participation
    _map(panel, table, f"{product}: participation ratio (chance {chance:.1f})", "{:.1f}")
    panel.set_xticks(range(len(heads)), [str(head) for head in heads])
    panel.set_yticks(range(len(layers)), [str(layer) for layer in layers])
    panel.set(xlabel="head", ylabel="layer")


def _map(panel: Axes, table: NDArray[np.float64], title: str, form: str = "") -> None:
    """A heat map from 0 to the largest value, row 0 at the bottom; `form`: that of the number in a cell."""
    image = panel.imshow(
        table,
        origin="lower",
        aspect="auto",
        cmap="viridis",
        vmin=0,
        interpolation="nearest",
    )
    panel.set_title(title, fontsize=9, loc="left")
    panel.figure.colorbar(image, ax=panel, fraction=0.05)
    if not form or table.size > MOST_NUMBERS:
        return
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            dark = value < 0.6 * np.nanmax(table)
            panel.text(
                *(column, row, form.format(value)),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
