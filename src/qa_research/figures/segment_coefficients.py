"""Coefficients of a picture's segments with their intervals, as bars. Reads and saves nothing."""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy import ndarray

from qa_research.figures.panels import plain
from qa_research.figures.segment_pictures import OPPOSES, SUPPORTS

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
