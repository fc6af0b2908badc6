"""What each seed's masks alone say: coefficients and top segments, seed by seed. Reads and saves nothing."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from numpy import ndarray

from qa_research.figures.panels import plain
from qa_research.figures.segment_pictures import SUPPORTS

MOST_COLUMNS = 32
POOLED = "#c8660a"


def compared_segments(order: Sequence[int], tops: Sequence[Sequence[int]], top: int) -> list[int]:
    """The segments that all seeds together or any seed alone have among the top, by rank; 32 at most."""
    any_of = set(order[:top]).union(*tops)
    return [i for i in order if i in any_of][:MOST_COLUMNS]


def coefficients_by_seed(
    axes: Axes,
    by_seed: Float[ndarray, "seed segment"],
    pooled: Float[ndarray, " segment"],
    shown: Sequence[int],
) -> None:
    """A dot a seed and segment; a line where all seeds' masks together put it."""
    n_seeds = len(by_seed)
    aside = np.linspace(-0.22, 0.22, n_seeds)
    for seed in range(n_seeds):
        axes.scatter(
            np.arange(len(shown)) + aside[seed],
            by_seed[seed, list(shown)],
            s=20,
            color=SUPPORTS,
            alpha=0.85,
            linewidths=0,
            label="one seed's masks" if not seed else None,
        )
    axes.hlines(
        pooled[list(shown)],
        np.arange(len(shown)) - 0.38,
        np.arange(len(shown)) + 0.38,
        color=POOLED,
        linewidth=2,
        label="all masks",
    )
    axes.axhline(0, color="#1d2227", linewidth=0.8)
    plain(axes)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.28 * (high - low))
    axes.set_xlim(-0.6, len(shown) - 0.4)
    axes.set_xticks(range(len(shown)), [str(i) for i in shown], fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylabel("coefficient", fontsize=9)
    axes.legend(frameon=False, fontsize=8.5, loc="upper right", ncols=2, handlelength=1.4)


def tops_by_seed(axes: Axes, tops: Sequence[Sequence[int]], shown: Sequence[int], top: int) -> None:
    """Seeds by segments, full where the seed has the segment among its top, with its rank there."""
    member = np.array([[i in one for i in shown] for one in tops], dtype=float)
    axes.imshow(member, aspect="auto", cmap=ListedColormap(["#eceae5", SUPPORTS]), vmin=0, vmax=1)
    for seed, one in enumerate(tops):
        for column, i in enumerate(shown):
            if i in one:
                rank = str(list(one).index(i) + 1)
                axes.text(column, seed, rank, ha="center", va="center", color="white", fontsize=8.5)
    axes.set_xticks(np.arange(len(shown) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(tops) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(shown)), [str(i) for i in shown], fontsize=9)
    axes.set_yticks(range(len(tops)), [str(i + 1) for i in range(len(tops))], fontsize=9)
    missing = len({i for one in tops for i in one} - set(shown))
    more = f"; {missing} more are not shown" if missing else ""
    axes.set_xlabel(f"segment (rank among each seed's top {top}{more})", fontsize=9)
    axes.set_ylabel("seed", fontsize=9)
