"""What blanking segments does to the classes, beside as much area at random. Reads and saves nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from qa_research.figures.panels import plain
from qa_research.figures.segment_pictures import SUPPORTS
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
