"""Deletion and insertion curves beside those of random orders. Reads and saves nothing."""

from dataclasses import dataclass

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy import ndarray

from qa_research.figures.panels import plain
from qa_research.figures.segment_pictures import SUPPORTS

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
