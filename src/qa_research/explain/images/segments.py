"""Segmenters, the pixels that replace a segment that is off, and where in a segment its number fits."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from annotated_types import Ge, Gt, Le
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

Pixels = UInt8[ndarray, "height width 3"]
Segments = Int[ndarray, "height width"]
Baseline = Literal["grey", "black", "mean", "blur", "noise"]
# Of the picture's shorter side: unrecognisable, but the colours stay where they were.
BLUR_FRACTION = 1 / 15


class Segmenter(Protocol):
    """Divides a picture; the labels may be any numbers (`segmented` numbers them from 0).

    The fields of those from scikit-image are the arguments of its function of the same name.
    `more_segments`: what to do about too few, as a clause.
    """

    more_segments: ClassVar[str]

    def segment(self, pixels: Pixels) -> Segments: ...


@dataclass(frozen=True)
class Quickshift:
    """Mode seeking in colour and position (scikit-image). `kernel_size` and `max_dist` in pixels; a larger
    `ratio` gives colour more weight. The segmenter of the reference implementation of LIME."""

    more_segments: ClassVar[str] = "a smaller segmenter.max_dist gives more"
    kernel_size: Annotated[float, Gt(0)]
    max_dist: Annotated[float, Gt(0)]
    ratio: Annotated[float, Ge(0)]

    def segment(self, pixels: Pixels) -> Segments:
        from skimage.segmentation import quickshift

        return np.asarray(quickshift(pixels, **vars(self), rng=0))


@dataclass(frozen=True)
class Slic:
    """k-means in colour and position (scikit-image): about `n_segments` of similar size."""

    more_segments: ClassVar[str] = "a larger segmenter.n_segments gives more"
    n_segments: Annotated[int, Ge(2)]
    compactness: Annotated[float, Gt(0)]
    sigma: Annotated[float, Ge(0)]

    def segment(self, pixels: Pixels) -> Segments:
        from skimage.segmentation import slic

        return np.asarray(slic(pixels, **vars(self), start_label=0))


@dataclass(frozen=True)
class Felzenszwalb:
    """Merging along weak edges (scikit-image); `min_size` in pixels."""

    more_segments: ClassVar[str] = "a smaller segmenter.scale or segmenter.min_size gives more"
    scale: Annotated[float, Gt(0)]
    sigma: Annotated[float, Ge(0)]
    min_size: Annotated[int, Ge(1)]

    def segment(self, pixels: Pixels) -> Segments:
        from skimage.segmentation import felzenszwalb

        return np.asarray(felzenszwalb(pixels, **vars(self)))


@dataclass(frozen=True)
class Grid:
    """Rectangles that ignore the picture: a control for what segmentation itself suggests."""

    more_segments: ClassVar[str] = "more segmenter.rows or segmenter.columns divide the picture"
    rows: Annotated[int, Ge(1), Le(1_000)]
    columns: Annotated[int, Ge(1), Le(1_000)]

    def segment(self, pixels: Pixels) -> Segments:
        height, width = pixels.shape[:2]
        row = np.arange(height) * self.rows // height
        column = np.arange(width) * self.columns // width
        return np.asarray(row[:, None] * self.columns + column[None, :])


def segmented(segmenter: Segmenter, pixels: Pixels) -> Segments:
    """The picture's segments, numbered from 0 without gaps.

    Raises:
        ValueError: there is only one segment, so there is nothing to compare.
    """
    labels = np.unique(segmenter.segment(pixels), return_inverse=True)[1].reshape(pixels.shape[:2])
    if labels.max() == 0:
        raise ValueError(
            f"{type(segmenter).__name__.lower()} finds only one segment, so there is nothing to compare; "
            + segmenter.more_segments
            + ("" if isinstance(segmenter, Grid) else ", and segmenter=grid divides any picture")
        )
    return labels.astype(np.int32)


def off_pixels(
    baseline: Baseline, pixels: Pixels, segments: Segments, generator: np.random.Generator
) -> Float[ndarray, "height width 3"]:
    """What replaces a segment that is off, in units of 8-bit values (0 to 255).

    `grey` is the middle of the scale (127.5), `mean` each segment's own mean colour, `blur` a Gaussian
    blur of 1/15 of the shorter side, `noise` uniform for every value.
    """
    if baseline == "grey":
        return np.full(pixels.shape, 127.5)
    if baseline == "black":
        return np.zeros(pixels.shape)
    if baseline == "noise":
        return generator.uniform(0, 255, pixels.shape)
    if baseline == "blur":
        from scipy.ndimage import gaussian_filter

        sigma = BLUR_FRACTION * min(pixels.shape[:2])
        return np.asarray(gaussian_filter(pixels.astype(np.float64), sigma=(sigma, sigma, 0)))
    areas = areas_of(segments)
    sums = [np.bincount(segments.ravel(), pixels[:, :, channel].ravel()) for channel in range(3)]
    return np.asarray((np.stack(sums, axis=1) / areas[:, None])[segments])


def areas_of(segments: Segments) -> Int[ndarray, " segment"]:
    """Pixels of each segment."""
    return np.bincount(segments.ravel())


def innermost_points(segments: Segments) -> Int[ndarray, "segment 2"]:
    """The pixel (row, column) of each segment farthest from its edge; the picture's border is an edge."""
    from scipy.ndimage import distance_transform_edt

    points = np.empty((segments.max() + 1, 2), dtype=np.int64)
    for number in range(len(points)):
        inside = np.pad(segments == number, 1)
        depth = distance_transform_edt(inside)[1:-1, 1:-1]
        points[number] = np.unravel_index(int(depth.argmax()), depth.shape)
    return points
