"""A data map, drawn: every example by variability and confidence, coloured by correctness."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from qa_research.figures.panels import COLOURS, GREY, WRONG, PlainFigure, legend_above, plain
from qa_research.interventions.data_map.dynamics import AMBIGUOUS, EASY, HARD
from qa_research.interventions.data_map.measuring import DataMap

# More points are drawn as dots of a picture, or an SVG would be too large to be shown.
MANY_POINTS = 3000
BINS = 30
LARGEST_POINT, SMALLEST_POINT = 24.0, 3.0
# Where the axes of the map begin: points at 0 are not cut in half.
LEFT, BOTTOM = -0.01, -0.02
# The least that an axis of variability reaches to.
LEAST_SPREAD = 0.05


def map_figure(found: DataMap) -> Figure:
    """The map, and how many examples have which confidence, variability and correctness."""
    confidence = np.array([one.confidence for one in found.placed])
    correctness = np.array([one.correctness for one in found.placed])
    if not found.varies:
        figure = PlainFigure(figsize=(7.2, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        _amounts(left, confidence, f"confidence at step {found.steps[0]:,}")
        _amounts(right, correctness, "right")
        return figure
    variability = np.array([one.variability for one in found.placed], dtype=np.float64)
    figure = PlainFigure(figsize=(9.6, 5.4), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(3, 1))
    _points(figure.add_subplot(grid[:, 0]), found, variability, confidence, correctness)
    for row, (values, name) in enumerate(
        ((confidence, "confidence"), (variability, "variability"), (correctness, "correctness"))
    ):
        _amounts(figure.add_subplot(grid[row, 1]), values, name)
    return figure


def _points(
    panel: Axes,
    found: DataMap,
    variability: NDArray[np.float64],
    confidence: NDArray[np.float64],
    correctness: NDArray[np.float64],
) -> None:
    # Few examples are large spots, and many are small ones.
    size = float(np.clip(8000 / len(confidence), SMALLEST_POINT, LARGEST_POINT))
    spots = panel.scatter(
        variability,
        confidence,
        c=correctness,
        s=size,
        cmap="viridis",
        vmin=0,
        vmax=1,
        linewidths=0,
        rasterized=len(confidence) > MANY_POINTS,
    )
    assert panel.figure is not None
    panel.figure.colorbar(spots, ax=panel, label="correctness", fraction=0.04)
    marked = np.array([one.is_marked for one in found.placed], dtype=bool)
    if marked.any():
        panel.scatter(
            variability[marked],
            confidence[marked],
            s=36,
            marker="x",
            color=WRONG,
            linewidths=1,
            label=f"marked ({int(marked.sum()):,})",
        )
        legend_above(panel, 1)
    _borders(panel, found, variability, confidence)
    panel.set(xlabel="variability", ylabel="confidence", ylim=(BOTTOM, 1.02))
    panel.set_xlim(LEFT, max(LEAST_SPREAD, 1.05 * float(variability.max())))
    panel.spines[["top", "right"]].set_visible(False)


def _borders(
    panel: Axes,
    found: DataMap,
    variability: NDArray[np.float64],
    confidence: NDArray[np.float64],
) -> None:
    """Dotted lines between the regions, and their names."""
    region = np.array([one.region for one in found.placed])
    inside = region == AMBIGUOUS
    edge = float(variability[inside].min()) if inside.any() else float(variability.max())
    middle = float(confidence[region == EASY].min()) if (region == EASY).any() else 1.0
    panel.axvline(edge, color=GREY, ls=":", lw=0.9)
    panel.plot([LEFT, edge], [middle, middle], color=GREY, ls=":", lw=0.9)
    # Beside the lines, where there are few points at the left of a map.
    for name, place, sides in (
        (EASY, (LEFT, middle), ("left", "bottom")),
        (HARD, (LEFT, middle), ("left", "top")),
        (AMBIGUOUS, (edge, BOTTOM), ("left", "bottom")),
    ):
        panel.annotate(
            name,
            place,
            (4, -4 if sides[1] == "top" else 4),
            textcoords="offset points",
            ha=sides[0],
            va=sides[1],
            fontsize=10,
        )


def _amounts(panel: Axes, values: NDArray[np.float64], name: str) -> None:
    # Shares are from 0 to 1, whatever there is of them; a spread is seldom as large as it can be.
    most = max(LEAST_SPREAD, float(values.max())) if name == "variability" else 1.0
    panel.hist(values, bins=BINS, range=(0, most), color=COLOURS[0])
    plain(panel)
    panel.set(xlabel=name, ylabel="examples")
    # Afterwards: `plain` has integers along x.
    panel.xaxis.set_major_locator(MaxNLocator(4))
