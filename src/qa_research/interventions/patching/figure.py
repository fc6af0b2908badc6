"""What patching restores, drawn: maps of heads and of positions, one column a step."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from qa_research.capture.components import FEED_FORWARD, HEADS, LAYERS
from qa_research.figures.panels import GREY, PlainFigure, evenly_spaced, signed_map
from qa_research.interventions.patching.components import POSITIONS
from qa_research.interventions.patching.patching import Patch, Patched, PatchedStep

MOST_STEPS = 6
# Most of a gap that is shown in a colour of its own: all of it.
WHOLE = 1.0
DOT = "restores more than unrelated texts do, there and in parts like it"
# What heads are beside, in the same map.
BESIDE = {FEED_FORWARD: "feed-forward", LAYERS: "layer"}


def patching_figure(found: Patched) -> Figure:
    """A row of maps of heads, feed-forward networks and layers, and one of positions; a column for each step.

    Colours are shares of the gap that are restored; a dot: more than unrelated texts do, see
    `Patch.is_beyond_chance`.
    """
    steps = [found.steps[i] for i in evenly_spaced(len(found.steps), MOST_STEPS)]
    kinds = {one.kind for one in found.steps[0].patches}
    rows = [row for row in ((HEADS, *BESIDE), (POSITIONS,)) if kinds & set(row)]
    columns = [_columns(found.steps[0].patches, row) for row in rows]
    inches = max(2.4, 0.19 * max(len(own) for own in columns))
    figure = PlainFigure(
        figsize=(1.4 + inches * len(steps), 0.8 + 2.7 * len(rows)), layout="constrained"
    )
    panels = figure.subplots(len(rows), len(steps), squeeze=False)
    image: ScalarMappable | None = None
    for row, kinds_of_row, names in zip(panels, rows, columns, strict=True):
        for panel, step in zip(row, steps, strict=True):
            image = _map(panel, step, kinds_of_row, names) or image
        row[0].set_ylabel("layer")
    for panel, step in zip(panels[0], steps, strict=True):
        panel.set_title(_title(step), fontsize=9, loc="left")
    if image is not None:
        bar = figure.colorbar(image, ax=panels, fraction=0.03, ticks=[-1, -0.5, 0, 0.5, 1])
        bar.ax.set_yticklabels(["-100 %", "-50 %", "0", "50 %", "100 %"])
        bar.set_label("of the gap restored")
    if any(one.is_beyond_chance for step in steps for one in step.patches):
        dot = Line2D([], [], color="black", marker="o", ms=3, ls="", label=DOT)
        figure.legend(handles=[dot], loc="outside lower left", fontsize=8, frameon=False)
    return figure


def _title(step: PatchedStep) -> str:
    name = step.checkpoint if step.step is None else f"step {step.step:,}"
    return f"{name}: gap {step.gap.value:.2f}"


def _column(one: Patch) -> str:
    """Where a patch stands in its layer's row of a map."""
    return BESIDE.get(one.kind) or one.name.rpartition(".")[2]


def _columns(patches: Sequence[Patch], kinds: Sequence[str]) -> list[str]:
    """The columns of a map, from left to right."""
    ordered = sorted(
        (one for one in patches if one.kind in kinds), key=lambda p: kinds.index(p.kind)
    )
    return list(dict.fromkeys(map(_column, ordered)))


def _map(
    panel: Axes, step: PatchedStep, kinds: Sequence[str], columns: Sequence[str]
) -> ScalarMappable | None:
    own = [one for one in step.patches if one.kind in kinds]
    # The embeddings, which positions have, are below layer 0.
    layers = sorted({-1 if one.layer is None else one.layer for one in own})
    panel.set_xticks(range(len(columns)), list(columns), rotation=90, fontsize=7)
    panel.set_yticks(
        range(len(layers)), ["embeddings" if n < 0 else str(n) for n in layers], fontsize=7
    )
    if not step.has_gap:
        panel.set(xlim=(-0.5, len(columns) - 0.5), ylim=(-0.5, len(layers) - 0.5))
        panel.text(
            *(0.5, 0.5, "the two texts are\nnot told apart"),
            transform=panel.transAxes,
            ha="center",
            va="center",
            fontsize=8,
            color=GREY,
        )
        return None
    table: NDArray[np.float64] = np.full((len(layers), len(columns)), np.nan)
    beyond = []
    for one in own:
        place = layers.index(-1 if one.layer is None else one.layer), columns.index(_column(one))
        if one.restored is not None:
            table[place] = one.restored.value
        if one.is_beyond_chance:
            beyond.append(place)
    image = signed_map(panel, table, WHOLE)
    rows, places = zip(*beyond, strict=True) if beyond else ((), ())
    panel.scatter(places, rows, s=9, color="black", edgecolors="white", linewidths=0.5)
    for edge in [columns.index(name) for name in BESIDE.values() if name in columns]:
        panel.axvline(edge - 0.5, color="white", linewidth=2)
    return image
