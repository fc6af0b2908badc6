"""Who may attend to whom, as small maps. Computes no mask: it draws those that it is given."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from qa_research.figures.panels import COLOURS, PlainFigure

# Narrow, so that it can be read on a phone.
INCHES, COLUMNS = 5.2, 2
SEEN, UNSEEN = COLOURS[0], "#e6e6e6"
# Up to so many tokens are named on an axis, or numbered one by one.
MOST_NAMES = 8


@dataclass(frozen=True)
class MaskPanel:
    """A mask, [query key] and True where a query sees a key, with its name and what it says in words.

    `queries`, `keys`: the names of the tokens; empty: they are numbered.
    """

    name: str
    says: str
    seen: NDArray[np.bool_]
    queries: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def masks(panels: Sequence[MaskPanel]) -> Figure:
    """The masks, two side by side, with names and words; rows are tokens that look, columns those seen."""
    rows = -(-len(panels) // COLUMNS)
    figure = PlainFigure(figsize=(INCHES, 2.75 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes, panels, strict=False):
        _draw(axis, panel)
    entries = [
        Patch(color=SEEN, label="the row sees the column"),
        Patch(color=UNSEEN, label="it may not"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return figure


def _draw(axis: Axes, panel: MaskPanel) -> None:
    queries, keys = panel.seen.shape
    axis.imshow(panel.seen, cmap=ListedColormap([UNSEEN, SEEN]), vmin=0, vmax=1)
    # White lines between the cells.
    axis.set_xticks(np.arange(keys + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(queries + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.2)
    axis.tick_params(which="both", length=0)
    axis.spines[:].set_visible(False)
    axis.set_xticks(*_ticks(keys, panel.keys), fontsize=9)
    axis.set_yticks(*_ticks(queries, panel.queries), fontsize=9)
    if panel.keys:
        axis.tick_params(axis="x", rotation=90)
    axis.set_title(panel.name, fontsize=11, fontweight="bold", loc="left", pad=20)
    axis.text(0, 1.03, panel.says, transform=axis.transAxes, fontsize=9)


def _ticks(count: int, names: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """Places and labels along an axis: every token if they have names or are few, else every fourth one."""
    if names:
        return list(range(count)), list(names)
    places = list(range(0, count, 1 if count <= MOST_NAMES else 4))
    return places, [str(place) for place in places]
