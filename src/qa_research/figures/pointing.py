"""Names points of a line inside its panel so that no two names touch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

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
