"""What blanking segments does to the classes, beside as much area at random. Reads and saves nothing.

Deletion and insertion curves beside those of random orders. Reads and saves nothing.

The masks of an explanation, and what its surrogate misses. Reads and saves nothing.

What each seed's masks alone say: coefficients and top segments, seed by seed. Reads and saves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy import ndarray

from qa_research.explain.images.figures import OPPOSES, SUPPORTS
from qa_research.figures.panels import plain
from qa_research.figures.tokens import drawable, shortened

OTHER = "#9aa1a7"
LONGEST_NAME = 34


def class_bars(
    axes: Axes, classes: Sequence[tuple[str, float]], colours: Mapping[str, str], most: float
) -> None:
    """A bar a class with its name and probability above it, the likeliest uppermost.

    `colours` by class; the others are grey. `most`: a probability that fills the panel.
    """
    for place, (name, probability) in enumerate(classes):
        colour = colours.get(name, OTHER)
        axes.barh(place, probability, height=0.42, color=colour)
        axes.text(
            0.015 * most,
            place - 0.27,
            f"{shortened(drawable(name), LONGEST_NAME)}  {percent(probability)}",
            fontsize=9.5,
            va="bottom",
            weight="bold" if name in colours else "normal",
            color="#1d2227",
            parse_math=False,
        )
    axes.set(xlim=(0, most), ylim=(len(classes) - 0.6, -0.95), xticks=[], yticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def percent(probability: float) -> str:
    """Three digits at most, and never a zero that is none."""
    value = 100 * probability
    if 0 < value < 0.05:
        return "< 0.1 %"
    return f"{value:.0f} %" if 10 <= value < 99.5 or value in (0, 100) else f"{value:.1f} %"


def random_control(
    axes: Axes,
    drops: Float[ndarray, " set"],
    changed: Bool[ndarray, " set"],
    chosen: float,
    chosen_changed: bool,
    name: str,
) -> None:
    """How far each random set lowers the class, a dot a set, and the blanked segments as a diamond.

    Drops of the probability; full dots changed the class that wins. `name`: the class.
    """
    # Above the diamond, which stands at 0.
    heights = 1.2 + _stacked(drops, float(np.ptp(np.append(drops, chosen))) or 1.0)
    for is_changed, label in ((False, "class stays"), (True, "class changes")):
        if (changed == is_changed).any():
            axes.scatter(
                drops[changed == is_changed],
                heights[changed == is_changed],
                s=42,
                facecolors=OTHER if is_changed else "none",
                edgecolors="#59626b",
                linewidths=1.3,
                label=f"random segments: {label}",
            )
    axes.scatter(
        [chosen],
        [0],
        s=120,
        marker="D",
        facecolors=SUPPORTS if chosen_changed else "white",
        edgecolors=SUPPORTS,
        linewidths=2.2,
        label=f"the blanked segments: class {'changes' if chosen_changed else 'stays'}",
        zorder=3,
    )
    axes.axvline(0, color="#1d2227", linewidth=0.8)
    plain(axes)
    axes.grid(False)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.margins(x=0.08)
    axes.set(yticks=[], ylim=(-0.8, max(float(heights.max(initial=0)) + 3.2, 4.5)))
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.set_xlabel(
        f"how far the probability of {shortened(drawable(name), 24)} falls",
        fontsize=9,
        parse_math=False,
    )
    axes.legend(frameon=False, fontsize=8.5, loc="upper right")


def _stacked(values: Float[ndarray, " value"], span: float) -> Float[ndarray, " value"]:
    """Heights at which dots of nearly equal values stand above each other."""
    bins = np.round(values / span * 24).astype(int)
    heights = np.zeros(len(values))
    for one in np.unique(bins):
        same = np.flatnonzero(bins == one)
        heights[same] = np.arange(len(same))
    return heights


RANDOM = "#8a8f94"


@dataclass(frozen=True)
class SwitchedCurve:
    """Probability of the class over the share of the area that was switched, by rank and at random.

    `random_areas`: the area under each random order's curve; `beaten`: the share of them that are worse.
    """

    share: Float[ndarray, " step"]
    probability: Float[ndarray, " step"]
    area: float
    beaten: float
    random_areas: Float[ndarray, " order"]
    grid: Float[ndarray, " point"]
    random_mean: Float[ndarray, " point"]
    random_low: Float[ndarray, " point"]
    random_high: Float[ndarray, " point"]

    @property
    def most(self) -> float:
        """The largest probability in it."""
        return float(max(self.probability.max(), self.random_high.max()))


def switched_curve(axes: Axes, curve: SwitchedCurve, verb: str, most: float) -> None:
    """One curve with the range and mean of the random orders; areas stand in the legend.

    `verb`: what happens to the segments, "deleted" or "inserted". `most`: the probability axis ends there.
    """
    n = len(curve.random_areas)
    axes.fill_between(
        curve.grid,
        curve.random_low,
        curve.random_high,
        color=RANDOM,
        alpha=0.25,
        linewidth=0,
        label=f"{n} random orders: range",
    )
    axes.plot(
        curve.grid,
        curve.random_mean,
        color=RANDOM,
        linewidth=1.5,
        linestyle="--",
        label=f"their mean (mean area {curve.random_areas.mean():.3f})",
    )
    axes.plot(
        curve.share,
        curve.probability,
        color=SUPPORTS,
        linewidth=2,
        marker="o",
        markersize=3.5,
        label=f"best first (area {curve.area:.3f})",
    )
    plain(axes)
    axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.5 * most))
    ticks = MaxNLocator(5).tick_values(0, most)
    axes.set_yticks([tick for tick in ticks if 0 <= tick <= max(most, ticks[1])])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(f"share of the area that is {verb}", fontsize=9)
    axes.set_ylabel("probability of the class", fontsize=9)
    axes.tick_params(labelsize=9)
    axes.legend(frameon=False, fontsize=8.5, loc="upper center")


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
