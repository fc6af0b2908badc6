"""The masks of an explanation, and what its surrogate misses. Reads and saves nothing."""

from math import comb

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from qa_research.figures.panels import plain
from qa_research.figures.segment_pictures import OPPOSES, SUPPORTS

# A cloud of so many points is seen better when they are faint.
MANY_POINTS = 150


def segments_on(axes: Axes, masks: Bool[ndarray, "mask segment"]) -> None:
    """How many masks have how many segments on; beside it what fair coins give."""
    n_masks, n_segments = masks.shape
    counts = np.bincount(masks.sum(axis=1), minlength=n_segments + 1)
    places = np.arange(n_segments + 1)
    expected = np.array([n_masks * comb(n_segments, k) / 2**n_segments for k in places])
    axes.bar(places, counts, width=0.86, color=SUPPORTS, label="masks")
    axes.plot(
        places,
        expected,
        color=OPPOSES,
        linewidth=1.6,
        marker="o",
        markersize=2.5,
        label="fair coins",
    )
    plain(axes)
    axes.set_axisbelow(True)
    used = np.flatnonzero((counts > 0) | (expected > 0.5))
    axes.set_xlim(used[0] - 0.7, used[-1] + 0.7)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(0, 1.22 * max(counts.max(), expected.max()))
    axes.set_xlabel(f"segments on, of {n_segments}", fontsize=9)
    axes.set_ylabel("masks", fontsize=9)
    axes.tick_params(labelsize=9)
    axes.legend(frameon=False, fontsize=8.5, loc="upper right", ncols=2, handlelength=1.4)


def residuals(
    axes: Axes, predicted: Float[ndarray, " mask"], outputs: Float[ndarray, " mask"]
) -> None:
    """The classifier's output minus the surrogate's, over the surrogate's: a dot a mask, zero is a line."""
    n = len(outputs)
    axes.axhline(0, color="#1d2227", linewidth=1)
    axes.scatter(
        predicted,
        outputs - predicted,
        s=12,
        color=SUPPORTS,
        alpha=0.75 if n <= MANY_POINTS else max(0.15, 0.75 * (MANY_POINTS / n) ** 0.5),
        linewidths=0,
    )
    plain(axes)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    most = 1.1 * float(np.abs(outputs - predicted).max()) or 1.0
    axes.set_ylim(-most, most)
    axes.set_xlabel("the surrogate's probability", fontsize=9)
    axes.set_ylabel("classifier minus surrogate", fontsize=9)
    axes.tick_params(labelsize=9)
