from itertools import combinations

import numpy as np
from matplotlib.figure import Figure

from qa_research.explain.images.overlays import (
    LARGEST,
    SIGNED,
    SMALLEST,
    edges,
    font_size,
    heat,
    heat_overlay,
    number,
    only,
    picture,
    room,
    signed_norm,
)
from tests.figures.drawn import collisions

# Four quarters of a square of eight pixels.
QUARTERS = np.kron([[0, 1], [2, 3]], np.ones((4, 4), dtype=int))
GREY = np.full((8, 8, 3), 100, dtype=np.uint8)


def drawn(width=5.0, height=4.0):
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def test_edges_are_the_straight_lines_between_segments():
    found = {tuple(map(tuple, line)) for line in edges(QUARTERS)}
    assert found == {((3.5, -0.5), (3.5, 7.5)), ((-0.5, 3.5), (7.5, 3.5))}


def test_a_line_is_broken_where_the_segments_do_not_change():
    segments = np.array([[0, 1], [0, 0], [0, 1]])
    upright = [line for line in edges(segments) if line[0, 0] == line[1, 0]]
    assert [line[:, 1].tolist() for line in upright] == [[-0.5, 0.5], [1.5, 2.5]]


def test_room_is_that_along_the_row_and_the_column_without_a_gap():
    segments = np.array([[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    assert room(segments, 0, 0) == (2, 2)
    assert room(segments, 0, 3) == (1, 3)
    assert room(segments, 1, 2) == (4, 2)


def test_numbers_are_smaller_in_small_segments_within_limits():
    large, small = font_size("7", 40, 40, 1), font_size("7", 8, 8, 1)
    assert LARGEST == large > small > font_size("77", 8, 8, 1) >= SMALLEST
    assert font_size("149", 1, 1, 1) == SMALLEST


def test_every_segment_has_its_number_at_its_innermost_pixel():
    figure, axes = drawn()
    centres = np.array([[1, 1], [1, 6], [6, 1], [6, 6]])
    picture(axes, GREY)
    number(axes, QUARTERS, centres, range(4), 4.0)
    found = {text.get_text(): text.get_position() for text in axes.texts}
    assert found == {"0": (1, 1), "1": (6, 1), "2": (1, 6), "3": (6, 6)}
    assert all(text.get_path_effects() for text in axes.texts)
    assert collisions(figure) == []


def test_150_numbers_do_not_overlap():
    segments = np.kron(np.arange(150).reshape(15, 10), np.ones((10, 15), dtype=int))
    centres = np.array([[10 * (i // 10) + 5, 15 * (i % 10) + 7] for i in range(150)])
    figure, axes = drawn(4.6, 4.6)
    axes.set(xlim=(-0.5, 149.5), ylim=(149.5, -0.5), xticks=[], yticks=[])
    number(axes, segments, centres, range(150), 4.4)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 150
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_only_leaves_the_shown_segments_and_the_baseline_elsewhere():
    off = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    shown = only(GREY, off, QUARTERS, {0, 3})
    assert (shown[:4, :4] == 100).all() and (shown[4:, 4:] == 100).all()
    np.testing.assert_array_equal(shown[:4, 4:], off[:4, 4:])


def test_heat_is_symmetric_about_zero_and_leaves_unknown_segments_grey():
    norm = signed_norm(np.array([0.1, -0.4, np.nan]))
    assert (norm.vmin, norm.vmax) == (-0.4, 0.4)
    coloured = heat(GREY, QUARTERS, np.array([0.4, -0.4, 0.0, np.nan]))
    supports, opposes, zero, unknown = (coloured[i, j] for i, j in ((0, 0), (0, 7), (7, 0), (7, 7)))
    assert supports[2] > supports[0] and opposes[0] > opposes[2]
    np.testing.assert_allclose(zero, unknown)
    assert np.ptp(zero) == 0 and coloured.min() >= 0 and coloured.max() <= 1
    # Both ends are about as dark, and the middle is light: strength does not depend on the sign.
    light = [np.dot(SIGNED(x)[:3], [0.299, 0.587, 0.114]) for x in (0.0, 0.5, 1.0)]
    assert abs(light[0] - light[2]) < 0.1 and light[1] > 0.9


def test_the_heat_maps_scale_is_symmetric_also_where_all_is_zero():
    for values, most in ((np.array([0.3, -0.1, 0, 0]), 0.3), (np.zeros(4), 1)):
        figure, axes = drawn()
        heat_overlay(axes, GREY, QUARTERS, values)
        bar = figure.axes[1]
        assert bar.get_ylim() == (-most, most)
        assert bar.get_ylabel() == "coefficient"
