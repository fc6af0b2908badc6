"""Where segments of a picture end, and their numbers inside them. Reads and saves nothing.

A picture and its segments: numbered, some of them alone, in colours. Reads and saves nothing.

Coefficients of a picture's segments with their intervals, as bars. Reads and saves nothing.
"""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy import ndarray

from qa_research.figures.panels import plain

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


Pixels = UInt8[ndarray, "height width 3"]
SUPPORTS, OPPOSES = "#0b6e99", "#c8660a"
# Blue and orange are told apart by those who cannot tell red from green.
SIGNED = LinearSegmentedColormap.from_list(
    "segments", ["#8f3f00", "#d9822b", "#f7f7f5", "#3d9ac4", "#064a73"]
)
# How much of the picture the strongest colour hides.
STRONGEST = 0.85


def picture(axes: Axes, pixels: Pixels) -> None:
    """The picture alone."""
    axes.imshow(pixels, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def numbered(
    axes: Axes,
    pixels: Pixels,
    segments: Int[ndarray, "height width"],
    centres: Int[ndarray, "segment 2"],
    inches: float,
) -> None:
    """The borders and the number of every segment over the picture, which is `inches` wide."""
    picture(axes, pixels)
    outline(axes, segments)
    number(axes, segments, centres, range(len(centres)), inches)


def only(
    pixels: Pixels, off: Pixels, segments: Int[ndarray, "height width"], shown: Collection[int]
) -> Pixels:
    """The picture with the segments in `shown` on, and what stands for "off" everywhere else."""
    return np.where(np.isin(segments, list(shown))[:, :, None], pixels, off)


def signed_norm(values: Float[ndarray, " segment"]) -> Normalize:
    """From -most to most, so that zero has the middle colour; NaN does not count."""
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return Normalize(-most, most)


def heat(
    pixels: Pixels, segments: Int[ndarray, "height width"], values: Float[ndarray, " segment"]
) -> Float[ndarray, "height width 3"]:
    """The picture in grey, each segment coloured by its value, the stronger the larger |value|.

    Values in [0, 1]. A segment whose value is NaN stays grey.
    """
    norm = signed_norm(values)
    grey = (pixels / 255) @ np.array([0.299, 0.587, 0.114])
    # Paler, so that the colours are not mistaken for the picture's own light and dark.
    ground = np.repeat((0.25 + 0.7 * grey)[:, :, None], 3, axis=2)
    known = np.nan_to_num(values)
    colours = SIGNED(norm(known))[:, :3]
    strength = STRONGEST * np.sqrt(np.abs(known) / norm.vmax)
    alpha = strength[segments][:, :, None]
    return np.asarray((1 - alpha) * ground + alpha * colours[segments])


def heat_overlay(
    axes: Axes,
    pixels: Pixels,
    segments: Int[ndarray, "height width"],
    values: Float[ndarray, " segment"],
    label: str = "coefficient",
) -> None:
    """The heat map of the values over the grey picture, with its scale beside it."""
    axes.imshow(heat(pixels, segments, values), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    outline(axes, segments, "#ffffff", 0.5, None)
    bar = axes.figure.colorbar(
        ScalarMappable(signed_norm(values), SIGNED), ax=axes, fraction=0.046, pad=0.03
    )
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)
    bar.set_label(label, fontsize=8.5)


# More bars than that have ranks below them instead of numbers.
MOST_NUMBERS = 48
PALE = 0.42
WHISKER = "#1d2227"


def coefficients_by_rank(
    axes: Axes,
    order: Sequence[int],
    values: Float[ndarray, " segment"],
    low: Float[ndarray, " segment"],
    high: Float[ndarray, " segment"],
    top: int,
    tied: Collection[int],
    interval: str,
) -> None:
    """A bar a segment, best first, with its interval; the `top` ones are full, the others pale, `tied` ones
    hatched.

    `values`, `low` and `high` by number, `order` the numbers that are drawn. `interval`: what it is called;
    intervals without width are not drawn.
    """
    chosen = np.array(order)
    heights, places = values[chosen], np.arange(len(chosen))
    # The percentile interval of a bootstrap need not hold the value.
    ends = np.stack([np.minimum(low, values)[chosen], np.maximum(high, values)[chosen]])
    drawn = bool((ends[1] - ends[0] > 0).any())
    bars = axes.bar(places, heights, width=0.8, linewidth=0)
    for place, (bar, number) in enumerate(zip(bars, order, strict=True)):
        bar.set_facecolor(SUPPORTS if heights[place] >= 0 else OPPOSES)
        if place >= top:
            bar.set_alpha(PALE)
        if number in tied:
            bar.set(hatch="////", edgecolor="#ffffff")
    if drawn:
        axes.vlines(
            places, *ends, color=WHISKER, linewidth=1.1 if len(order) <= MOST_NUMBERS else 0.6
        )
    axes.axhline(0, color=WHISKER, linewidth=0.8)
    if top < len(order):
        axes.axvline(top - 0.5, color="#59626b", linewidth=1, linestyle=(0, (4, 3)))
    plain(axes)
    axes.set_axisbelow(True)
    said = f"; lines: {interval}" if drawn else ""
    axes.set_xlim(-0.7, len(order) - 0.3)
    if len(order) <= MOST_NUMBERS:
        size = 9 if len(order) <= 32 else 7.5
        axes.set_xticks(places, [str(i) for i in order], fontsize=size)
        axes.set_xlabel(f"segment (its number), best first{said}", fontsize=9)
    else:
        ranks = [1, *range(25, len(order) + 1, 25)]
        axes.set_xticks([rank - 1 for rank in ranks], [str(rank) for rank in ranks], fontsize=9)
        best = ", ".join(str(i) for i in order[: min(top, 8)])
        more = ", …" if top > 8 else ""
        axes.set_xlabel(f"rank (the best segments: {best}{more}){said}", fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylabel("coefficient", fontsize=9)
    axes.legend(
        handles=_legend(heights, order, top, tied), frameon=False, fontsize=8.5, loc="upper right"
    )


def _legend(
    heights: Float[ndarray, " rank"], order: Sequence[int], top: int, tied: Collection[int]
) -> list[Patch]:
    """Only what is drawn."""
    shown = [Patch(color=SUPPORTS, label=f"supports (full colour: the top {min(top, len(order))})")]
    if (heights < 0).any():
        shown.append(Patch(color=OPPOSES, label="opposes"))
    if tied:
        shown.append(
            Patch(
                facecolor=SUPPORTS, edgecolor="#ffffff", hatch="////", label=f"tied with rank {top}"
            )
        )
    return shown
