"""What panels of several figures have in common: plain axes, heat maps over steps."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

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
