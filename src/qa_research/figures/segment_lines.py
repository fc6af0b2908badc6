"""Where segments of a picture end, and their numbers inside them. Reads and saves nothing."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke
from numpy import ndarray

DARK, LIGHT = "#101418", "#ffffff"
SMALLEST, LARGEST = 3.5, 13.0
# Heights of a digit's line in points, and widths of a digit, per point of font size.
_HIGH, _WIDE = 1.15, 0.68


def edges(segments: Int[ndarray, "height width"]) -> Float[ndarray, "line 2 2"]:
    """Lines between pixels of different segments, each from (x, y) to (x, y), as long as they are straight.

    Pixel (row, column) reaches from column - 0.5 to column + 0.5. The picture's own border is none.
    """
    across = _runs(segments[:, 1:] != segments[:, :-1])
    down = _runs((segments[1:] != segments[:-1]).T)
    # `_runs` gives (place, first, last): x is the place for the upright lines, y for the others.
    upright = [across[:, [0, 1]], across[:, [0, 2]]]
    level = [down[:, [1, 0]], down[:, [2, 0]]]
    return np.concatenate([np.stack(upright, axis=1), np.stack(level, axis=1)])


def _runs(differ: Bool[ndarray, "along place"]) -> Float[ndarray, "run 3"]:
    """(place, first, last) of each unbroken line, in pixel coordinates."""
    padded = np.pad(differ.T.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    place, first = np.nonzero(steps == 1)
    last = np.nonzero(steps == -1)[1]
    return np.stack([place + 0.5, first - 0.5, last - 0.5], axis=1)


def outline(
    axes: Axes,
    segments: Int[ndarray, "height width"],
    colour: str = LIGHT,
    width: float = 0.8,
    halo: str | None = DARK,
) -> None:
    """The borders of all segments; `halo` lies under them, so that they are seen on any ground."""
    lines = list(edges(segments))
    if halo is not None:
        axes.add_collection(
            LineCollection(lines, colors=halo, linewidths=width + 1.0, alpha=0.55), autolim=False
        )
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=width), autolim=False)


def room(segments: Int[ndarray, "height width"], row: int, column: int) -> tuple[int, int]:
    """How many pixels wide and high the segment is, along the row and the column through one pixel."""
    own = segments[row, column]
    return _run_at(segments[row] == own, column), _run_at(segments[:, column] == own, row)


def _run_at(same: Bool[ndarray, " pixel"], place: int) -> int:
    others = np.flatnonzero(~same)
    after = others[others > place]
    before = others[others < place]
    end = int(after[0]) if len(after) else len(same)
    start = int(before[-1]) + 1 if len(before) else 0
    return end - start


def font_size(text: str, wide: int, high: int, points_a_pixel: float) -> float:
    """The font size in points at which a number fits into so many pixels, within limits."""
    size = min(wide / (_WIDE * len(text)), high / _HIGH) * points_a_pixel * 0.8
    return float(np.clip(size, SMALLEST, LARGEST))


def number(
    axes: Axes,
    segments: Int[ndarray, "height width"],
    centres: Int[ndarray, "segment 2"],
    shown: Sequence[int],
    inches: float,
) -> None:
    """The number of each segment in `shown` at its innermost pixel, smaller in small segments.

    White with a dark halo, to be read on any ground. `inches`: how wide the picture is drawn.
    """
    points_a_pixel = 72 * inches / segments.shape[1]
    for i in shown:
        row, column = (int(value) for value in centres[i])
        size = font_size(str(i), *room(segments, row, column), points_a_pixel)
        axes.text(
            column,
            row,
            str(i),
            fontsize=size,
            color=LIGHT,
            weight="bold",
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=1.0 + size / 6, foreground=DARK)],
        )
