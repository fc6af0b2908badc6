"""What panels of several figures share: colours, values picked from a recorder's dataset, axes, heat maps,
and point names that do not touch; and how every figure shows text.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from qa_research.text import disarmed

# Of lines, in this order.
COLOURS = ("#0b6e99", "#d1495b", "#edae49", "#3c7a3b", "#6c4f8c", "#777777")
# Correct answers and the true span; wrong answers; what is only for orientation.
CORRECT, WRONG, GREY = COLOURS[3], "#b3243a", COLOURS[5]
# What speaks for an answer, and against it; in a film, where the answer starts and where it ends.
SUPPORTS, OPPOSES = COLOURS[0], "#c8660a"

# Longer lists of what is recorded are abridged.
LISTED = 12
# Of attention heads, by number: dark enough for lines and text on white.
HEAD_COLOURS = (
    *("#0b6e99", "#d1495b", "#b07a00", "#3c7a3b", "#6c4f8c", "#444444"),
    *("#00897b", "#e0621b", "#8d5a3b", "#c2185b", "#5566d6", "#7a8b00"),
)
LAYER_STYLES = ("-", "--", ":", "-.")
# Names beside the ends of lines: font size, and inches from one to the next.
NAME_SIZE, LINE_INCHES = 8, 0.15
MANY_COLUMNS = 100
# Names of points: font size, inches per character of that size, inches between two names.
SIZE, INCHES, GAP = 7.5, 0.062, 0.1
# The share of a panel's height that names take at each end that has any.
MARGIN = 0.2


class PlainFigure(Figure):
    """A figure that shows texts as they are, whatever is in them: every figure of ours is one.

    `$x$` is not read as a formula. A character that the font does not have, or that would control the
    reader of an SVG, becomes a square.
    """

    def _repr_png_(self) -> bytes:
        """What a notebook shows of it, without pyplot."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=96)
        return file.getvalue()

    def draw(self, renderer: RendererBase) -> None:
        for text in self.findobj(Text):
            assert isinstance(text, Text)
            text.set_parse_math(False)
            text.set_text("\n".join(map(drawable, text.get_text().split("\n"))))
        for axis in self.findobj(Axis):
            assert isinstance(axis, Axis)
            formatter = axis.get_major_formatter()
            # It gives the labels of ticks their texts again whenever they are drawn.
            if isinstance(formatter, FuncFormatter) and not isinstance(formatter.func, _Drawable):
                formatter.func = _Drawable(formatter.func)
        super().draw(renderer)


class _Drawable:
    """What a function says of a tick, as far as it can be drawn."""

    def __init__(self, label: Callable[..., str]) -> None:
        self._label = label

    def __call__(self, *place: Any) -> str:
        return drawable(self._label(*place))


def drawable(text: str) -> str:
    """`text` with a square for each character that the figure's font lacks, or that is not to be seen."""
    known = _characters()
    return "".join(character if ord(character) in known else "□" for character in text)


@cache
def _characters() -> frozenset[int]:
    characters = get_font(findfont(FontProperties())).get_charmap()
    return frozenset(code for code in characters if disarmed(chr(code), lines=False) == chr(code))


def recorded(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """The array `name` of a recorder, with at least one step.

    Raises:
        ValueError: there is no such array, or no step yet.
    """
    if name not in dataset.data_vars:
        arrays = ", ".join(str(array) for array in dataset.data_vars) or "nothing"
        raise ValueError(f"no array {name!r} is recorded; recorded: {arrays}")
    if dataset.sizes.get("step", 0) == 0:
        raise ValueError(f"{name!r} holds no step yet; this figure needs at least one")
    return dataset[name]


def at(array: xr.DataArray, **chosen: Any) -> xr.DataArray:
    """`array` at one value of each named axis: `at(array, layer=11, row="start")`.

    Values are those of the axis's coordinate; an axis without one is numbered from 0.

    Raises:
        ValueError: a value that the axis does not have.
    """
    index = {}
    for axis, value in chosen.items():
        known = array.get_index(axis)
        if value not in known:
            raise ValueError(f"{axis} {value!r} is not recorded; recorded: {listing(list(known))}")
        index[axis] = int(np.flatnonzero(known == value)[0])
    return array.isel(index)


def steps_of(array: xr.DataArray) -> NDArray[np.int64]:
    """The optimizer steps at which `array` was recorded, ascending."""
    return np.asarray(array.get_index("step"), dtype=np.int64)


def spread(steps: NDArray[np.int64], n: int, turn: int | None = None) -> list[int]:
    """At most `n` of the recorded `steps`, with the first and the last, evenly over the captures.

    `turn`: a step that matters; the first capture from it on is among them, and with four or more also the
    one before it. Example: 3 of 0, 10, 20, 50, 100 are 0, 20, 100: the middle capture and not the middle
    step; with the turn 50 they are 0, 50, 100, and 4 of them 0, 20, 50, 100.
    """
    evenly = [int(place) for place in evenly_spaced(len(steps), n)]
    if turn is None or len(steps) <= n or not steps[0] < turn <= steps[-1]:
        return [int(steps[place]) for place in evenly]
    place = int(np.searchsorted(steps, turn))
    chosen = {0, len(steps) - 1, place, *([place - 1] if n > 3 else [])}
    # Those of the even ones that are furthest from the turn, which has its captures.
    others = sorted(set(evenly) - chosen, key=lambda other: -abs(other - place))
    chosen |= set(others[: max(n - len(chosen), 0)])
    return [int(steps[place]) for place in sorted(chosen)]


def evenly_spaced(n: int, at_most: int) -> NDArray[np.int64]:
    """At most `at_most` of the indices 0..n-1, evenly spaced, with the last and, if two or more, the first.

    Example: 4 of 10 are 0, 3, 6, 9; 3 of 10 are 0, 4, 9 (4.5 is rounded to the even 4); 1 of 10 is 9.
    """
    if at_most >= n:
        return np.arange(n)
    if at_most <= 1:
        return np.arange(n)[n - max(at_most, 0) :]
    return np.unique(np.rint(np.linspace(0, n - 1, at_most)).astype(np.int64))


def numbers(array: xr.DataArray, *axes: str) -> NDArray[np.float64]:
    """The values with their axes in this order, in double precision."""
    return np.asarray(array.transpose(*axes).values, dtype=np.float64)


def listing(values: Sequence[Any]) -> str:
    """What is recorded, in words: a run of integers as its ends, a long list abridged."""
    if not values:
        return "nothing"
    words = [str(value) for value in values]
    if len(values) > 2 and not isinstance(values[0], str):
        gaps = np.diff(np.asarray(values))
        if np.all(gaps == 1):
            return f"{words[0]} to {words[-1]}"
    if len(words) > LISTED:
        words = [*words[: LISTED - 2], "...", words[-1]]
    return ", ".join(words)


def plain(panel: Axes, n_ticks: int = 8) -> None:
    """Two spines, thin horizontal lines, and at most `n_ticks` integers along x."""
    panel.margins(x=0.02)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.xaxis.set_major_locator(
        MaxNLocator(n_ticks, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    panel.ticklabel_format(axis="x", style="plain", useOffset=False)


def start_at_zero(panel: Axes) -> None:
    """Let y start at zero, with some room above the largest value, so that no line runs along the frame."""
    panel.set_ylim(0, 1.05 * panel.get_ylim()[1])


def borders_of(steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """The borders of the captures' cells on an axis of steps: halfway between two, as far beyond the ends.

    Example: captures at 0, 10, 50 have the cells -5 to 5, 5 to 30 and 30 to 70.
    """
    at = steps.astype(np.float64)
    if len(at) == 1:
        return np.array([at[0] - 0.5, at[0] + 0.5])
    middles = (at[1:] + at[:-1]) / 2
    return np.concatenate(([2 * at[0] - middles[0]], middles, [2 * at[-1] - middles[-1]]))


def step_ticks(axis: Axis, steps: NDArray[np.int64], n_ticks: int = 6) -> None:
    """Round integers along an axis of optimizer steps, within the first and the last."""
    locator = MaxNLocator(n_ticks, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    first, last = int(steps[0]), int(steps[-1])
    ticks = [int(tick) for tick in locator.tick_values(first, last) if first <= tick <= last]
    axis.set_ticks(ticks or [last], [str(tick) for tick in ticks or [last]])


@dataclass(frozen=True)
class LineName:
    """The name of a line, and the height of the line's end in data coordinates."""

    y: float
    text: str
    colour: str


def name_lines(panel: Axes, names: Sequence[LineName], inches: float) -> None:
    """Write each line's name beside its end, right of a panel `inches` high, so that no two touch.

    Call it last: where names go depends on the limits.
    """
    low, high = panel.get_ylim()
    ordered = sorted((name for name in names if np.isfinite(name.y)), key=lambda name: name.y)
    heights = [float(np.clip((name.y - low) / (high - low), 0, 1)) for name in ordered]
    for name, height in zip(ordered, _apart(heights, LINE_INCHES / inches), strict=True):
        panel.text(
            1.015,
            height,
            name.text,
            transform=panel.transAxes,
            fontsize=NAME_SIZE,
            color=name.colour,
            va="center",
            parse_math=False,
        )


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """The ascending heights moved so that two are `least` apart and, if there is room, within 0 and 1.

    Example: 0, 0.02, 1 and 0.1 give 0, 0.1, 1; 0.98, 1 and 0.1 give 0.9, 1.
    """
    found = list(heights)
    for i in range(1, len(found)):
        found[i] = max(found[i], found[i - 1] + least)
    for i in reversed(range(len(found))):
        found[i] = min(found[i], found[i + 1] - least if i + 1 < len(found) else 1.0)
    return found


def head_style(layer: int, head: int) -> tuple[str, str]:
    """An attention head's colour and line style: the same in every panel, figure and seed.

    The colour shows the head, of twelve, and the style the layer, of four.
    """
    return HEAD_COLOURS[head % len(HEAD_COLOURS)], LAYER_STYLES[layer % len(LAYER_STYLES)]


def head_name(layer: int, head: int) -> str:
    """An attention head as it is named everywhere: `layer 3, head 5`."""
    return f"layer {layer}, head {head}"


def legend_above(panel: Axes, n_columns: int) -> None:
    """The legend in a line above the panel's right end, where it hides nothing."""
    panel.legend(
        ncols=n_columns,
        frameon=False,
        fontsize=9,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0.2,
        columnspacing=1.2,
        handlelength=1.6,
    )


def signed_map(panel: Axes, values: NDArray[np.float64], most: float) -> AxesImage:
    """A heat map of [row column]: white at zero, equally strong at -most and most, row 0 at the bottom."""
    return panel.imshow(
        values,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
    )


def step_map(
    panel: Axes,
    values: NDArray[np.float64],
    steps: NDArray[np.int64],
    most: float,
    colours: Colormap | str = "RdBu_r",
    along: str = "y",
) -> ScalarMappable:
    """A heat map of [step column] with its captures at their steps, to scale, and columns at 0, 1, 2, ....

    `along`: the axis of the steps, y (upwards) or x (then columns are rows, from top to bottom).
    """
    borders = borders_of(steps)
    columns = np.arange(values.shape[1] + 1) - 0.5
    own = (columns, borders, values) if along == "y" else (borders, columns, values.T)
    image = panel.pcolorfast(*own, cmap=colours, vmin=-most, vmax=most)
    if along == "x":
        panel.invert_yaxis()
    step_ticks(panel.yaxis if along == "y" else panel.xaxis, steps)
    assert isinstance(image, ScalarMappable)
    return image


def strongest(*maps: NDArray[np.float64]) -> float:
    """The largest finite |value| of some maps, as the end of a colour scale; 1 if all are zero."""
    return max(float(np.abs(one[np.isfinite(one)]).max(initial=0)) for one in maps) or 1.0


def frame_columns(panel: Axes, first: int, last: int) -> Rectangle:
    """A frame around the columns `first` to `last` of a heat map, over its whole height."""
    left, right = panel.get_xlim()
    frame = Rectangle(
        (first - 0.5, 0),
        last - first + 1,
        1,
        transform=panel.get_xaxis_transform(),
        fill=False,
        edgecolor="black",
        # Among many columns a thick line would hide what it frames.
        linewidth=1.2 if right - left <= MANY_COLUMNS else 0.5,
        clip_on=False,
    )
    panel.add_patch(frame)
    return frame


@dataclass(frozen=True)
class Point:
    """A point in data coordinates, and its name."""

    x: float
    y: float
    text: str
    colour: str


def point_out(panel: Axes, points: Sequence[Point], inches: float) -> None:
    """Mark the points in a panel `inches` wide, and name them without letting two names touch.

    Names are at the upper end of the panel (y >= 0) or at the lower one (y < 0), and its limits grow so
    that they cover no data. Call it last: where names go depends on the limits.
    """
    above = [point for point in points if point.y >= 0]
    below = [point for point in points if point.y < 0]
    low, high = panel.get_ylim()
    room = MARGIN * (high - low)
    panel.set_ylim(low - room if below else low, high + room if above else high)
    panel.set_xlim(panel.get_xlim())
    for chosen, y, align in ((above, 0.97, "top"), (below, 0.03, "bottom")):
        ordered = sorted(chosen, key=lambda point: point.x)
        for point, x in zip(ordered, _centres(panel, ordered, inches), strict=True):
            panel.plot(point.x, point.y, "o", ms=4, mfc="none", color=point.colour)
            panel.annotate(
                point.text,
                (point.x, point.y),
                (x, y),
                textcoords="axes fraction",
                ha="center",
                va=align,
                fontsize=SIZE,
                color=point.colour,
                parse_math=False,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
                arrowprops={"arrowstyle": "-", "color": point.colour, "lw": 0.5, "shrinkB": 2.5},
            )


def _centres(panel: Axes, points: Sequence[Point], inches: float) -> list[float]:
    """Where the names' centres go, as shares of the panel's width: near their points, but apart.

    Example: two names, each 0.2 wide, want to start at 0.85 and 0.9. From left to right the second moves to
    1.05, behind the first; from right to left it moves back to 0.8, inside the panel, and the first to 0.6.
    """
    if not points:
        return []
    low, high = panel.get_xlim()
    widths = np.array([INCHES * len(point.text) + GAP for point in points]) / inches
    wanted = np.array([(point.x - low) / (high - low) for point in points])
    left = wanted - widths / 2
    for i in range(len(points)):
        earliest = left[i - 1] + widths[i - 1] if i else 0.0
        left[i] = max(left[i], earliest)
    for i in reversed(range(len(points))):
        latest = left[i + 1] if i + 1 < len(points) else 1.0
        left[i] = min(left[i], latest - widths[i])
    return [float(centre) for centre in left + widths / 2]
