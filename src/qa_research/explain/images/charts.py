"""The charts of an explanation, each from its numbers into given axes. Reads and saves nothing."""

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy import ndarray

from qa_research.explain.images.blanking import Curve
from qa_research.explain.images.result import RankedSegment
from qa_research.explain.images.sentences import percent
from qa_research.explain.ranking import tie_of
from qa_research.figures.panels import OPPOSES, SUPPORTS, drawable, plain
from qa_research.figures.tokens import shortened

OTHER = "#9aa1a7"
RANDOM = "#8a8f94"
POOLED = OPPOSES
INK = "#1d2227"
SOFT = "#59626b"
# Alpha of bars below the top.
PALE = 0.42
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8.5}
LONGEST_NAME = 34
# More bars than that have their rank below them instead of their number.
MOST_NUMBERS = 48
# More points than that are drawn fainter, so that a cloud shows its density.
MANY_POINTS = 150
MOST_COLUMNS = 32
# Of runs of ties beside each other, in turn; the legend names so many.
HATCHES = ("////", "\\\\\\\\")
MOST_RUNS = 5


def coefficients_by_rank(
    axes: Axes,
    segments: Sequence[RankedSegment],
    top: int,
    tied: Sequence[tuple[int, int]],
    interval: str,
) -> None:
    """A bar for each segment, best first; bars below the `top` are pale, those of tied segments hatched.

    `tied`: first and last rank of each run of ties; runs beside each other are hatched in two directions.
    `interval`: what it is called; intervals without width are not drawn.
    """
    order = [one.number for one in segments]
    places = np.arange(len(order))
    heights, low, high = np.array([(one.coefficient, one.low, one.high) for one in segments]).T
    # The percentile interval of a bootstrap need not contain the value itself.
    low, high = np.minimum(low, heights), np.maximum(high, heights)
    drawn = bool((high > low).any())
    bars = axes.bar(places, heights, width=0.8, linewidth=0)
    for place, bar in enumerate(bars):
        bar.set_facecolor(SUPPORTS if heights[place] >= 0 else OPPOSES)
        if place >= top:
            bar.set_alpha(PALE)
        if (tie := tie_of(place + 1, tied)) is not None:
            bar.set(hatch=HATCHES[tied.index(tie) % 2], edgecolor="#ffffff")
    if drawn:
        axes.vlines(
            places, low, high, color=INK, linewidth=1.1 if len(order) <= MOST_NUMBERS else 0.6
        )
    axes.axhline(0, color=INK, linewidth=0.8)
    if top < len(order):
        axes.axvline(top - 0.5, color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    plain(axes)
    axes.set_axisbelow(True)
    axes.set_xlim(-0.7, len(order) - 0.3)
    _name_bars(axes, order, top, f"; lines: {interval}" if drawn else "")
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylabel("coefficient", fontsize=9)
    axes.legend(handles=_legend(heights, top, tied), **LEGEND, loc="upper right")


def _label(axes: Axes, x: str | None = None, y: str | None = None) -> None:
    """Names of the axes, and small tick labels."""
    if x is not None:
        axes.set_xlabel(x, fontsize=9, parse_math=False)
    if y is not None:
        axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=9)


def _name_bars(axes: Axes, order: Sequence[int], top: int, note: str) -> None:
    """Each bar's segment below it, or its rank if there are too many bars."""
    if len(order) <= MOST_NUMBERS:
        size = 9 if len(order) <= 32 else 7.5
        axes.set_xticks(range(len(order)), [str(i) for i in order], fontsize=size)
        axes.set_xlabel(f"segment (its number), best first{note}", fontsize=9)
        return
    ranks = [1, *range(25, len(order) + 1, 25)]
    axes.set_xticks([rank - 1 for rank in ranks], [str(rank) for rank in ranks], fontsize=9)
    best = ", ".join(str(i) for i in order[: min(top, 8)])
    more = ", …" if top > 8 else ""
    axes.set_xlabel(f"rank (the best segments: {best}{more}){note}", fontsize=9)


def _legend(
    heights: Float[ndarray, " rank"], top: int, tied: Sequence[tuple[int, int]]
) -> list[Patch]:
    """Only for what is drawn."""
    shown = [
        Patch(color=SUPPORTS, label=f"supports (full colour: the top {min(top, len(heights))})")
    ]
    if (heights < 0).any():
        shown.append(Patch(color=OPPOSES, label="opposes"))
    if tied:
        runs = [f"{first}-{last}" for first, last in tied[:MOST_RUNS]]
        named = ", ".join([*runs, "…"] if len(tied) > MOST_RUNS else runs)
        shown.append(
            Patch(
                facecolor=SUPPORTS,
                edgecolor="#ffffff",
                hatch=HATCHES[0],
                label=f"tied: ranks {named}",
            )
        )
    return shown


def class_bars(
    axes: Axes, classes: Sequence[tuple[str, float]], colours: Mapping[str, str], most: float
) -> None:
    """A bar for each class with its name and probability above it, the likeliest at the top.

    `colours` by class; the others are grey. `most`: the probability that fills the panel's width.
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
            color=INK,
            parse_math=False,
        )
    axes.set(xlim=(0, most), ylim=(len(classes) - 0.6, -0.95), xticks=[], yticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def random_control(
    axes: Axes,
    drops: Float[ndarray, " set"],
    changed: Bool[ndarray, " set"],
    chosen: float,
    chosen_changed: bool,
    name: str,
) -> None:
    """How far each other set lowers the class, as dots, and the blanked segments, as a diamond.

    `drops` of the probability of the class `name`; filled dots changed the winning class.
    """
    # Above the diamond, which is at height 0.
    heights = 1.2 + _stacked(drops, float(np.ptp(np.append(drops, chosen))) or 1.0)
    for is_changed, label in ((False, "class stays"), (True, "class changes")):
        if (changed == is_changed).any():
            axes.scatter(
                drops[changed == is_changed],
                heights[changed == is_changed],
                s=42,
                facecolors=OTHER if is_changed else "none",
                edgecolors=SOFT,
                linewidths=1.3,
                label=f"other segments: {label}",
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
    axes.axvline(0, color=INK, linewidth=0.8)
    plain(axes)
    axes.grid(False)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.margins(x=0.08)
    axes.set(yticks=[], ylim=(-0.8, max(float(heights.max(initial=0)) + 3.2, 4.5)))
    axes.spines["left"].set_visible(False)
    _label(axes, f"how far the probability of {shortened(drawable(name), 24)} falls")
    axes.legend(**LEGEND, loc="upper right")


def _stacked(values: Float[ndarray, " value"], span: float) -> Float[ndarray, " value"]:
    """Heights that stack dots of nearly equal values on top of each other."""
    bins = np.round(values / span * 24).astype(int)
    heights = np.zeros(len(values))
    for one in np.unique(bins):
        same = np.flatnonzero(bins == one)
        heights[same] = np.arange(len(same))
    return heights


def switched_curve(axes: Axes, curve: Curve, verb: str, most: float) -> None:
    """One curve with the range and mean of the random orders; their areas are in the legend.

    `verb`: what happens to the segments, "off" or "on". `most`: the largest probability of both curves.
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
    _label(axes, f"share of the area that is {verb}", "probability of the class")
    axes.legend(**LEGEND, loc="upper center")


def segments_on(axes: Axes, masks: Bool[ndarray, "mask segment"], *, exact: bool) -> None:
    """How many masks have how many segments on, and how many would if each were on with probability 0.5.

    `exact`: these are all possible masks, none of them drawn.
    """
    n_masks, n_segments = masks.shape
    counts = np.bincount(masks.sum(axis=1), minlength=n_segments + 1)
    places = np.arange(n_segments + 1)
    expected = np.array([n_masks * comb(n_segments, k) / 2**n_segments for k in places])
    axes.bar(places, counts, width=0.86, color=SUPPORTS, label="masks")
    if not exact:
        axes.plot(places, expected, "o-", color=OPPOSES, lw=1.6, ms=2.5, label="binomial(n, 0.5)")
    plain(axes)
    axes.set_axisbelow(True)
    used = np.flatnonzero((counts > 0) | (expected > 0.5))
    axes.set_xlim(used[0] - 0.7, used[-1] + 0.7)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(0, 1.22 * max(counts.max(), expected.max()))
    _label(axes, f"segments on, of {n_segments}", "masks")
    axes.legend(**LEGEND, loc="upper right", ncols=2, handlelength=1.4)


def residuals(
    axes: Axes, predicted: Float[ndarray, " mask"], outputs: Float[ndarray, " mask"]
) -> None:
    """The classifier's output minus the surrogate's, against the surrogate's: a dot for each mask."""
    n = len(outputs)
    axes.axhline(0, color=INK, linewidth=1)
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
    _label(axes, "the surrogate's probability", "classifier minus surrogate")


def compared_segments(order: Sequence[int], tops: Sequence[Sequence[int]], top: int) -> list[int]:
    """The segments in the top of any seed or of all seeds together, by rank; at most 32."""
    any_of = set(order[:top]).union(*tops)
    return [i for i in order if i in any_of][:MOST_COLUMNS]


def coefficients_by_seed(
    axes: Axes,
    by_seed: Float[ndarray, "seed segment"],
    pooled: Float[ndarray, " segment"],
    shown: Sequence[int],
) -> None:
    """A dot for each seed and segment, and a line for the coefficient from all masks together."""
    n_seeds = len(by_seed)
    offsets = np.linspace(-0.22, 0.22, n_seeds)
    for seed in range(n_seeds):
        axes.scatter(
            np.arange(len(shown)) + offsets[seed],
            by_seed[seed, list(shown)],
            s=20,
            color=SUPPORTS,
            alpha=0.85,
            linewidths=0,
            label="one seed's masks" if seed == 0 else None,
        )
    axes.hlines(
        pooled[list(shown)],
        np.arange(len(shown)) - 0.38,
        np.arange(len(shown)) + 0.38,
        color=POOLED,
        linewidth=2,
        label="all masks",
    )
    axes.axhline(0, color=INK, linewidth=0.8)
    plain(axes)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.28 * (high - low))
    axes.set_xlim(-0.6, len(shown) - 0.4)
    axes.set_xticks(range(len(shown)), [str(i) for i in shown])
    axes.tick_params(axis="x", length=0)
    _label(axes, y="coefficient")
    axes.legend(**LEGEND, loc="upper right", ncols=2, handlelength=1.4)


def tops_by_seed(axes: Axes, tops: Sequence[Sequence[int]], shown: Sequence[int], top: int) -> None:
    """Seeds by segments: a filled cell with the rank if the segment is in the seed's top."""
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
    axes.set_xticks(range(len(shown)), [str(i) for i in shown])
    axes.set_yticks(range(len(tops)), [str(i + 1) for i in range(len(tops))])
    missing = len({i for one in tops for i in one} - set(shown))
    more = f"; {missing} more are not shown" if missing else ""
    _label(axes, f"segment (rank among each seed's top {top}{more})", "seed")
