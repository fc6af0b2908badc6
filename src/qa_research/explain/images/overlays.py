"""Segments drawn over their picture: borders, numbers, heat. Reads and saves nothing."""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patheffects import withStroke
from numpy import ndarray

from qa_research.explain.images.segments import Pixels, Segments

# From orange (opposes) to blue (supports), as in the charts.
SIGNED = LinearSegmentedColormap.from_list(
    "segments", ["#8f3f00", "#d9822b", "#f7f7f5", "#3d9ac4", "#064a73"]
)
# How much of the picture the strongest colour hides.
STRONGEST = 0.85
DARK, LIGHT = "#101418", "#ffffff"
# Font sizes of numbers, in points.
SMALLEST, LARGEST = 3.5, 13.0
# Height of a line and width of a digit, per point of font size.
_HIGH, _WIDE = 1.15, 0.68


def edges(segments: Segments) -> Float[ndarray, "line 2 2"]:
    """Lines between pixels of different segments, each from (x, y) to (x, y), as long as possible.

    Pixel (row, column) extends from column - 0.5 to column + 0.5. The border of the picture is not included.
    """
    across = _runs(segments[:, 1:] != segments[:, :-1])
    down = _runs((segments[1:] != segments[:-1]).T)
    # `_runs` returns (place, first, last); place is the x of vertical lines and the y of horizontal ones.
    # Segments 0 1 / 0 1 in two rows: one vertical line at x = 0.5 from y = -0.5 to 1.5.
    vertical = [across[:, [0, 1]], across[:, [0, 2]]]
    horizontal = [down[:, [1, 0]], down[:, [2, 0]]]
    return np.concatenate([np.stack(vertical, axis=1), np.stack(horizontal, axis=1)])


def _runs(differ: Bool[ndarray, "along place"]) -> Float[ndarray, "run 3"]:
    """(place, first, last) of each unbroken line, in pixel coordinates."""
    padded = np.pad(differ.T.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    place, first = np.nonzero(steps == 1)
    last = np.nonzero(steps == -1)[1]
    return np.stack([place + 0.5, first - 0.5, last - 0.5], axis=1)


def outline(
    axes: Axes,
    segments: Segments,
    colour: str = LIGHT,
    width: float = 0.8,
    halo: str | None = DARK,
) -> None:
    """The borders of all segments, with a `halo` below them so that they are visible on any background."""
    lines = list(edges(segments))
    if halo is not None:
        axes.add_collection(
            LineCollection(lines, colors=halo, linewidths=width + 1.0, alpha=0.55), autolim=False
        )
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=width), autolim=False)


def room(segments: Segments, row: int, column: int) -> tuple[int, int]:
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
    """The font size in points at which a number fits into `wide` x `high` pixels, within limits."""
    size = min(wide / (_WIDE * len(text)), high / _HIGH) * points_a_pixel * 0.8
    return float(np.clip(size, SMALLEST, LARGEST))


def number(
    axes: Axes,
    segments: Segments,
    centres: Int[ndarray, "segment 2"],
    shown: Sequence[int],
    inches: float,
) -> None:
    """The number of each segment in `shown` at its innermost pixel, smaller in small segments.

    White with a dark halo, legible on any background. `inches`: how wide the picture is drawn.
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


def picture(axes: Axes, pixels: Pixels | Float[ndarray, "height width 3"]) -> None:
    """The picture without anything over it: bytes, or shares from 0 to 1."""
    axes.imshow(pixels, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def only(pixels: Pixels, off: Pixels, segments: Segments, shown: Collection[int]) -> Pixels:
    """The picture with the segments in `shown` on, and what replaces the others elsewhere."""
    return np.where(np.isin(segments, list(shown))[:, :, None], pixels, off)


def signed_norm(values: Float[ndarray, " segment"]) -> Normalize:
    """From -most to most, so that zero has the middle colour; NaN is ignored."""
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return Normalize(-most, most)


def heat(
    pixels: Pixels, segments: Segments, values: Float[ndarray, " segment"]
) -> Float[ndarray, "height width 3"]:
    """The picture in grey, each segment coloured by its value, the stronger the larger |value|.

    Values in [0, 1]. A segment whose value is NaN stays grey.
    """
    norm = signed_norm(values)
    grey = (pixels / 255) @ np.array([0.299, 0.587, 0.114])
    # Paler, so that the colours are not mistaken for light and dark of the picture itself.
    ground = np.repeat((0.25 + 0.7 * grey)[:, :, None], 3, axis=2)
    known = np.nan_to_num(values)
    colours = SIGNED(norm(known))[:, :3]
    strength = STRONGEST * np.sqrt(np.abs(known) / norm.vmax)
    alpha = strength[segments][:, :, None]
    return np.asarray((1 - alpha) * ground + alpha * colours[segments])


def heat_overlay(
    axes: Axes, pixels: Pixels, segments: Segments, values: Float[ndarray, " segment"]
) -> None:
    """The heat map of the values over the grey picture, with its scale next to it."""
    picture(axes, heat(pixels, segments, values))
    outline(axes, segments, "#ffffff", 0.5, None)
    bar = axes.figure.colorbar(
        ScalarMappable(signed_norm(values), SIGNED), ax=axes, fraction=0.046, pad=0.03
    )
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)
    bar.set_label("coefficient", fontsize=8.5)
