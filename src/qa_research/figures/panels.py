"""Picks what a figure shows out of one recorder's dataset, and refuses what was not recorded.

Scores over a training: arrays -> matplotlib figures. Reads and saves nothing.

What panels of several figures have in common: plain axes, heat maps over steps.

Names points of a line inside its panel so that no two names touch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

# Longer lists of what is recorded are cut in the middle.
LISTED = 12


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
    places = {}
    for axis, value in chosen.items():
        known = array.get_index(axis)
        if value not in known:
            raise ValueError(f"{axis} {value!r} is not recorded; recorded: {listing(list(known))}")
        places[axis] = int(np.flatnonzero(known == value)[0])
    return array.isel(places)


def steps_of(array: xr.DataArray) -> NDArray[np.int64]:
    """The optimizer steps at which `array` was recorded, ascending."""
    return np.asarray(array.get_index("step"), dtype=np.int64)


def last_step(array: xr.DataArray, step: int | None) -> int:
    """`step`, or the last recorded one for None."""
    return int(steps_of(array)[-1]) if step is None else step


def spread(steps: NDArray[np.int64], n: int) -> list[int]:
    """At most `n` of the recorded `steps`, first and last included, evenly over the captures."""
    places = np.unique(np.linspace(0, len(steps) - 1, min(n, len(steps))).round().astype(int))
    return [int(step) for step in steps[places]]


def numbers(array: xr.DataArray, *axes: str) -> NDArray[np.float64]:
    """The values with their axes in this order, in double precision."""
    return np.asarray(array.transpose(*axes).values, dtype=np.float64)


def listing(values: Sequence[Any]) -> str:
    """What is recorded, in words: a run of whole numbers as its ends, a long list cut."""
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


COLOURS = ("#0b6e99", "#d1495b", "#edae49", "#3c7a3b", "#6c4f8c", "#777777")


@dataclass(frozen=True)
class ScoreCurves:
    """One run: the steps at which it was validated, and exact match by kind there, in percent."""

    steps: NDArray[np.int64]
    exact_match: Mapping[str, NDArray[np.float64]]


def exact_match_by_kind(
    groups: Mapping[str, Sequence[ScoreCurves]], guessing: Mapping[str, float]
) -> Figure:
    """A panel a group of runs, a line a run and kind; dashed: what guessing earns, in percent.

    All kinds keep their colour over the panels; the legend stands in the first.
    """
    figure = Figure(figsize=(4.6 * len(groups), 3.4), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    kinds = sorted({kind for runs in groups.values() for run in runs for kind in run.exact_match})
    colours = dict(zip(kinds, COLOURS, strict=False))
    for panel, (title, runs) in zip(panels, groups.items(), strict=True):
        for number, run in enumerate(runs):
            for kind, values in run.exact_match.items():
                panel.plot(
                    run.steps,
                    values,
                    color=colours[kind],
                    linewidth=1.3,
                    alpha=0.85,
                    label=kind if number == 0 else None,
                )
        for kind, value in guessing.items():
            if kind in colours and value < 100:
                label = f"{kind}, guessing: {value:.0f} %"
                panel.axhline(value, color=colours[kind], linestyle="--", linewidth=1, label=label)
        panel.set(title=title, xlabel="optimizer step", ylim=(0, 102))
        panel.margins(x=0.02)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel("exact match on validation, %")
    panels[0].legend(title="kind of question", loc="center right", frameon=False, fontsize=9)
    return figure


STEP_LABELS = 7
MANY_COLUMNS = 100


def plain(panel: Axes, n_ticks: int = 8) -> None:
    """Two spines, thin horizontal lines, and at most `n_ticks` whole numbers along x."""
    panel.margins(x=0.02)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.xaxis.set_major_locator(
        MaxNLocator(n_ticks, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    panel.ticklabel_format(axis="x", style="plain", useOffset=False)


def label_captures(axis: Axis, steps: NDArray[np.int64]) -> None:
    """Steps along an axis that has one cell a capture, whatever the distance in steps."""
    gaps = max(len(steps) - 1, 1)
    # Equal distances between labels where there are any, else almost equal ones.
    counts = [n for n in range(STEP_LABELS, 3, -1) if gaps % (n - 1) == 0]
    n = min(len(steps), counts[0] if counts else STEP_LABELS)
    places = np.unique(np.linspace(0, len(steps) - 1, n).round().astype(int))
    axis.set_ticks([int(place) for place in places], [str(steps[place]) for place in places])


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
    """A heat map of [row column], white at zero, of equal strength at -most and most; row 0 lowest."""
    return panel.imshow(
        values,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
    )


def strongest(*maps: NDArray[np.float64]) -> float:
    """The largest finite |value| of some maps; 1 where there is none but zero, to have a scale."""
    return max(float(np.abs(one[np.isfinite(one)]).max(initial=0)) for one in maps) or 1.0


def frame_columns(panel: Axes, first: int, last: int, n_rows: int) -> Rectangle:
    """A frame round the columns `first` to `last` of a heat map of `n_rows` rows."""
    left, right = panel.get_xlim()
    frame = Rectangle(
        (first - 0.5, -0.5),
        last - first + 1,
        n_rows,
        fill=False,
        edgecolor="black",
        # In many columns a thick line would hide what it frames.
        linewidth=1.2 if right - left <= MANY_COLUMNS else 0.5,
        clip_on=False,
    )
    panel.add_patch(frame)
    return frame


SIZE = 7.5
# Of a character of that size, and the free space between two names.
INCHES = 0.062
GAP = 0.1
# The share of the panel's height that names take at each end that has any.
MARGIN = 0.2


@dataclass(frozen=True)
class Point:
    """A point in data coordinates, and its name."""

    x: float
    y: float
    text: str
    colour: str


def point_out(panel: Axes, points: Sequence[Point], inches: float) -> None:
    """Marks the points in a panel `inches` wide, and names them.

    Names stand at the upper end of the panel (y >= 0) or at the lower (y < 0), and its limits grow
    so that they cover no data. Call it last: the names' places depend on the limits.
    """
    above = [point for point in points if point.y >= 0]
    below = [point for point in points if point.y < 0]
    low, high = panel.get_ylim()
    height = high - low
    panel.set_ylim(
        low - (MARGIN * height if below else 0), high + (MARGIN * height if above else 0)
    )
    panel.set_xlim(panel.get_xlim())
    for chosen, y, align in ((above, 0.97, "top"), (below, 0.03, "bottom")):
        for point, x in zip(_by_x(chosen), _places(panel, _by_x(chosen), inches), strict=True):
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


def _by_x(points: Sequence[Point]) -> list[Point]:
    return sorted(points, key=lambda point: point.x)


def _places(panel: Axes, points: Sequence[Point], inches: float) -> list[float]:
    """Where the names' middles stand, as shares of the panel's width: near x, but apart."""
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
    return [float(place) for place in left + widths / 2]
