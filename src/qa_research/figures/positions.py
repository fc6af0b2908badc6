"""Positional encodings: what they are, how they change along the positions, and how alike two of them are."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.figures.panels import (
    COLOURS,
    GREY,
    PlainFigure,
    legend_above,
    signed_map,
    strongest,
)

# Narrow, so that it can be read on a phone.
INCHES = 5.2
HEIGHTS = (2.6, 1.9, 2.1)
LABEL = 10


def positions(encoding: NDArray[np.float64], name: str, units: tuple[int, int]) -> Figure:
    """The encodings [position unit] as a heat map, two units as curves, and similarity by distance.

    `name`: what they are, for the title. `units`: those of the curves. The similarity of two encodings is the
    cosine of their angle; the line is its mean over all pairs of a distance, and the band from the least to
    the most of them. Encodings that know distances only have no band.

    Raises:
        ValueError: there is no such unit, or fewer than two positions.
    """
    count, width = encoding.shape
    if count < 2 or not all(0 <= unit < width for unit in units):
        raise ValueError(
            f"units {units[0]} and {units[1]} of {count} positions with {width} units cannot be drawn: the "
            f"units are 0 to {width - 1}, and two positions are the least"
        )
    figure = PlainFigure(figsize=(INCHES, sum(HEIGHTS) + 0.9), layout="constrained")
    panels: Any = figure.subplots(3, 1, height_ratios=HEIGHTS)
    figure.suptitle(name, fontsize=12, x=0.02, ha="left")
    _map(figure, panels[0], encoding)
    _curves(panels[1], encoding, units)
    _similarity(panels[2], encoding)
    for panel in panels:
        panel.tick_params(labelsize=9)
    return figure


def _map(figure: Figure, panel: Axes, encoding: NDArray[np.float64]) -> None:
    image = signed_map(panel, encoding.T, strongest(encoding))
    panel.set_xlabel("position", fontsize=LABEL)
    panel.set_ylabel("unit", fontsize=LABEL)
    figure.colorbar(image, ax=panel, fraction=0.05, aspect=20, pad=0.02).ax.tick_params(labelsize=9)


def _curves(panel: Axes, encoding: NDArray[np.float64], units: tuple[int, int]) -> None:
    for unit, colour in zip(units, COLOURS, strict=False):
        panel.plot(encoding[:, unit], color=colour, lw=1.8, label=f"unit {unit}")
    _plain(panel, "position", "value")
    panel.set_xlim(0, len(encoding) - 1)
    legend_above(panel, len(units))


def _similarity(panel: Axes, encoding: NDArray[np.float64]) -> None:
    low, mean, high = similarity_by_distance(encoding)
    distances = np.arange(len(mean))
    panel.fill_between(distances, low, high, color=COLOURS[0], alpha=0.2, lw=0)
    panel.plot(distances, mean, color=COLOURS[0], lw=1.8)
    panel.axhline(0, color=GREY, lw=0.6)
    _plain(panel, "distance of two positions", "similarity")
    panel.set_xlim(0, len(mean) - 1)


def _plain(panel: Axes, x: str, y: str) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_xlabel(x, fontsize=LABEL)
    panel.set_ylabel(y, fontsize=LABEL)


def similarity_by_distance(
    encoding: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The least, the mean and the largest cosine of two encodings, by the distance of their positions.

    An encoding of nothing but zeros, such as that of padding, is like no other: 0.
    """
    norms = np.linalg.norm(encoding, axis=1, keepdims=True)
    directions = np.divide(encoding, norms, out=np.zeros_like(encoding), where=norms > 0)
    cosines = directions @ directions.T
    along = [np.diagonal(cosines, distance) for distance in range(len(encoding))]
    low, mean, high = (np.array([f(values) for values in along]) for f in (np.min, np.mean, np.max))
    return low, mean, high
