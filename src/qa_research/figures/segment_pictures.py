"""A picture and its segments: numbered, some of them alone, in colours. Reads and saves nothing."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from numpy import ndarray

from qa_research.figures.segment_lines import number, outline

Pixels = UInt8[ndarray, "height width 3"]
SUPPORTS, OPPOSES = "#0b6e99", "#c8660a"
# Blue and orange are told apart by those who cannot tell red from green.
SIGNED = LinearSegmentedColormap.from_list(
    "segments", ["#8f3f00", "#d9822b", "#f7f7f5", "#3d9ac4", "#064a73"]
)
# How much of the picture the strongest colour hides.
STRONGEST = 0.85


def picture(axes: Axes, pixels: Pixels) -> None:
    """The picture alone."""
    axes.imshow(pixels, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def numbered(
    axes: Axes,
    pixels: Pixels,
    segments: Int[ndarray, "height width"],
    centres: Int[ndarray, "segment 2"],
    inches: float,
) -> None:
    """The borders and the number of every segment over the picture, which is `inches` wide."""
    picture(axes, pixels)
    outline(axes, segments)
    number(axes, segments, centres, range(len(centres)), inches)


def only(
    pixels: Pixels, off: Pixels, segments: Int[ndarray, "height width"], shown: Collection[int]
) -> Pixels:
    """The picture with the segments in `shown` on, and what stands for "off" everywhere else."""
    return np.where(np.isin(segments, list(shown))[:, :, None], pixels, off)


def signed_norm(values: Float[ndarray, " segment"]) -> Normalize:
    """From -most to most, so that zero has the middle colour; NaN does not count."""
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return Normalize(-most, most)


def heat(
    pixels: Pixels, segments: Int[ndarray, "height width"], values: Float[ndarray, " segment"]
) -> Float[ndarray, "height width 3"]:
    """The picture in grey, each segment coloured by its value, the stronger the larger |value|.

    Values in [0, 1]. A segment whose value is NaN stays grey.
    """
    norm = signed_norm(values)
    grey = (pixels / 255) @ np.array([0.299, 0.587, 0.114])
    # Paler, so that the colours are not mistaken for the picture's own light and dark.
    ground = np.repeat((0.25 + 0.7 * grey)[:, :, None], 3, axis=2)
    known = np.nan_to_num(values)
    colours = SIGNED(norm(known))[:, :3]
    strength = STRONGEST * np.sqrt(np.abs(known) / norm.vmax)
    alpha = strength[segments][:, :, None]
    return np.asarray((1 - alpha) * ground + alpha * colours[segments])


def heat_overlay(
    axes: Axes,
    pixels: Pixels,
    segments: Int[ndarray, "height width"],
    values: Float[ndarray, " segment"],
    label: str = "coefficient",
) -> None:
    """The heat map of the values over the grey picture, with its scale beside it."""
    axes.imshow(heat(pixels, segments, values), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    outline(axes, segments, "#ffffff", 0.5, None)
    bar = axes.figure.colorbar(
        ScalarMappable(signed_norm(values), SIGNED), ax=axes, fraction=0.046, pad=0.03
    )
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)
    bar.set_label(label, fontsize=8.5)
