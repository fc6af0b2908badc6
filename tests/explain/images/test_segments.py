import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from qa_research.explain.images.picture import fitted
from qa_research.explain.images.segments import (
    Felzenszwalb,
    Grid,
    Quickshift,
    Slic,
    areas_of,
    innermost_points,
    off_pixels,
    segmented,
)

COFFEE = fitted(data.coffee(), 112, 112, "squash", "bilinear")
SEGMENTERS = [
    Quickshift(kernel_size=4, max_dist=60, ratio=0.2),
    Slic(n_segments=20, compactness=10.0, sigma=1.0),
    Felzenszwalb(scale=100.0, sigma=0.8, min_size=100),
    Grid(rows=3, columns=5),
]


@pytest.mark.parametrize("segmenter", SEGMENTERS, ids=lambda s: type(s).__name__)
def test_segments_are_numbered_without_gaps_and_always_the_same(segmenter):
    found = segmented(segmenter, COFFEE)
    assert found.shape == (112, 112)
    assert set(np.unique(found)) == set(range(found.max() + 1))
    assert 4 < found.max() + 1 < 80
    assert (found == segmented(segmenter, COFFEE)).all()


def test_a_grid_has_its_rows_and_columns():
    found = segmented(Grid(rows=2, columns=3), np.zeros((10, 12, 3), np.uint8))
    assert found.max() + 1 == 6
    assert list(areas_of(found)) == [20] * 6
    assert found[0, 0] == 0 and found[0, 11] == 2 and found[9, 0] == 3


@pytest.mark.parametrize(
    ("segmenter", "advice"),
    [
        (Felzenszwalb(1000.0, 0.8, 50), "a smaller segmenter.scale.*, and segmenter=grid divides"),
        (
            Grid(rows=1, columns=1),
            r"more segmenter\.rows or segmenter\.columns divide the picture$",
        ),
    ],
    ids=["felzenszwalb", "grid"],
)
def test_a_single_segment_is_refused(segmenter, advice):
    flat = np.full((64, 64, 3), 90, np.uint8)
    with pytest.raises(ValueError, match=f"finds only one segment, so there is.*; {advice}"):
        segmented(segmenter, flat)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_the_innermost_point_lies_in_its_segment_and_no_pixel_is_deeper(seed, n):
    generator = np.random.default_rng(seed)
    centres = generator.integers(0, 20, (n, 2))
    rows, columns = np.mgrid[:20, :20]
    nearest = np.hypot(rows[..., None] - centres[:, 0], columns[..., None] - centres[:, 1])
    segments = np.unique(nearest.argmin(axis=-1), return_inverse=True)[1].reshape(20, 20)

    def depth(number, row, column):
        outside = np.argwhere(np.pad(segments, 1, constant_values=-1) != number)
        return np.hypot(*(outside - (row + 1, column + 1)).T).min()

    for number, (row, column) in enumerate(innermost_points(segments)):
        assert segments[row, column] == number
        inside = np.argwhere(segments == number)
        assert depth(number, row, column) == max(depth(number, *place) for place in inside)


def test_baselines_by_hand():
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:, :2] = (10, 20, 30)
    pixels[0, 0] = (50, 20, 30)
    pixels[:, 2:] = 200
    segments = np.repeat([[0, 0, 1, 1]], 4, axis=0)
    generator = np.random.default_rng(0)
    assert (off_pixels("grey", pixels, segments, generator) == 127.5).all()
    assert (off_pixels("black", pixels, segments, generator) == 0).all()
    mean = off_pixels("mean", pixels, segments, generator)
    assert mean[3, 1] == pytest.approx((15, 20, 30)) and (mean[:, 2:] == 200).all()
    noise = off_pixels("noise", pixels, segments, generator)
    assert noise.std() > 40 and noise.min() >= 0 and noise.max() <= 255


def test_blur_keeps_the_colours_and_loses_the_edges():
    segments = segmented(Grid(4, 4), COFFEE)
    blurred = off_pixels("blur", COFFEE, segments, np.random.default_rng(0))
    assert blurred.mean() == pytest.approx(COFFEE.mean(), rel=0.02)
    assert (
        np.abs(np.diff(blurred, axis=0)).max()
        < 0.2 * np.abs(np.diff(COFFEE.astype(float), axis=0)).max()
    )
