import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from qa_research.explain.images.blanking import Curve
from qa_research.explain.images.charts import (
    HATCHES,
    MOST_COLUMNS,
    MOST_NUMBERS,
    class_bars,
    coefficients_by_rank,
    coefficients_by_seed,
    compared_segments,
    random_control,
    residuals,
    segments_on,
    switched_curve,
    tops_by_seed,
)
from qa_research.explain.images.result import RankedSegment
from qa_research.figures.panels import OPPOSES, SUPPORTS
from tests.figures.drawn import collisions, texts


def drawn(width=5.0, height=4.0):
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def bars_of(n, top=2, tied=(), low=None, high=None, width=6.5):
    figure, axes = drawn(width)
    values = np.linspace(0.4, -0.2, n)
    low, high = values - 0.05 if low is None else low, values + 0.05 if high is None else high
    rows = [RankedSegment(i, i + 1, values[i], low[i], high[i]) for i in range(n)]
    coefficients_by_rank(axes, rows, top, tied, "95 % interval")
    return figure, axes


def test_bars_show_coefficients_top_sign_and_ties():
    figure, axes = bars_of(4, top=2, tied=[(2, 3)])
    bars = axes.patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], np.linspace(0.4, -0.2, 4))
    assert [bar.get_alpha() is None for bar in bars] == [True, True, False, False]
    assert [bool(bar.get_hatch()) for bar in bars] == [False, True, True, False]
    assert bars[1].get_facecolor()[:3] == to_rgb(SUPPORTS)
    assert bars[3].get_facecolor()[:3] == to_rgb(OPPOSES)
    whisker = axes.collections[0].get_segments()[0]
    np.testing.assert_allclose(whisker[:, 1], [0.35, 0.45])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "supports (full colour: the top 2)",
        "opposes",
        "tied: ranks 2-3",
    ]
    assert "95 % interval" in axes.get_xlabel()
    assert collisions(figure) == []


def test_every_run_of_ties_is_hatched_and_runs_beside_each_other_differently():
    figure, axes = bars_of(8, top=4, tied=[(1, 2), (3, 4), (6, 8)])
    one, other = HATCHES
    hatches = [bar.get_hatch() for bar in axes.patches]
    assert hatches == [one, one, other, other, None, one, one, one]
    assert axes.get_legend().get_texts()[-1].get_text() == "tied: ranks 1-2, 3-4, 6-8"
    many = [(2 * i + 1, 2 * i + 2) for i in range(8)]
    figure, axes = bars_of(16, top=16, tied=many)
    assert axes.get_legend().get_texts()[-1].get_text().endswith("9-10, …")
    assert collisions(figure) == []


def test_exact_coefficients_have_no_interval():
    values = np.linspace(0.4, -0.2, 4)
    _, axes = bars_of(4, low=values, high=values)
    assert not axes.collections
    assert "interval" not in axes.get_xlabel()


@pytest.mark.parametrize(("n", "width"), [(2, 6.5), (MOST_NUMBERS, 12), (150, 12)])
def test_the_bars_names_are_legible_whatever_their_number(n, width):
    figure, axes = bars_of(n, top=1, width=width)
    assert collisions(figure) == []
    assert len(axes.patches) == n
    named = [label.get_text() for label in axes.get_xticklabels()]
    assert named == ([str(i) for i in range(n)] if n <= MOST_NUMBERS else named)
    assert ("rank" in axes.get_xlabel()) == (n > MOST_NUMBERS)


def test_masks_are_counted_by_how_many_segments_are_on():
    masks = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    figure, axes = drawn()
    segments_on(axes, masks, exact=False)
    assert [bar.get_height() for bar in axes.patches] == [1, 2, 0, 1]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.5, 1.5, 1.5, 0.5])
    assert axes.get_xlabel() == "segments on, of 3"
    assert collisions(figure) == []


def test_all_possible_masks_are_not_compared_with_coins():
    _, axes = drawn()
    segments_on(axes, np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=bool), exact=True)
    assert [bar.get_height() for bar in axes.patches] == [1, 2, 1]
    assert not axes.lines
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["masks"]


def test_residuals_are_the_outputs_minus_the_surrogates():
    predicted, outputs = np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.5, 0.6])
    figure, axes = drawn()
    residuals(axes, predicted, outputs)
    found = axes.collections[0].get_offsets()
    np.testing.assert_allclose(found, np.stack([predicted, outputs - predicted], axis=1))
    low, high = axes.get_ylim()
    assert low == -high and high > 0.3
    assert collisions(figure) == []


def test_many_residuals_are_faint_and_equal_ones_can_be_drawn():
    _, few = drawn()
    residuals(few, np.zeros(3), np.zeros(3))
    _, many = drawn()
    residuals(many, np.linspace(0, 1, 5000), np.zeros(5000))
    assert few.collections[0].get_alpha() > 0.7 > 0.3 > many.collections[0].get_alpha()


def test_a_curve_is_drawn_over_the_random_orders_with_the_areas_in_the_legend():
    grid = np.linspace(0, 1, 5)
    curve = Curve(
        share=np.array([0, 0.3, 1]),
        probability=np.array([0.9, 0.2, 0.01]),
        area=0.2384,
        beaten=1.0,
        random_areas=np.array([0.4, 0.5]),
        grid=grid,
        random_mean=0.9 - 0.8 * grid,
        random_low=0.8 - 0.8 * grid,
        random_high=0.95 - 0.8 * grid,
    )
    figure, axes = drawn()
    switched_curve(axes, curve, "off", curve.most)
    assert curve.most == 0.95
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "2 random orders: range",
        "their mean (mean area 0.450)",
        "best first (area 0.238)",
    ]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), curve.probability)
    assert max(axes.get_yticks()) <= 1
    assert collisions(figure) == []


def test_compared_segments_are_the_top_of_any_seed_by_rank():
    assert compared_segments([4, 3, 6, 5, 1], [[4, 3], [3, 5]], 2) == [4, 3, 5]
    assert len(compared_segments(range(90), [list(range(80))], 40)) == MOST_COLUMNS


def test_seeds_are_dots_and_rows_with_their_ranks():
    figure = Figure(figsize=(6, 5), layout="constrained")
    above, below = figure.subplots(2, 1)
    by_seed = np.array([[0.1, 0.3, 0.2], [0.2, 0.3, 0.1]])
    coefficients_by_seed(above, by_seed, by_seed.mean(axis=0), [1, 2, 0])
    tops_by_seed(below, [[1, 2], [1, 0]], [1, 2, 0], 2)
    dots = [above.collections[seed].get_offsets()[:, 1] for seed in (0, 1)]
    np.testing.assert_allclose(dots, [[0.3, 0.2, 0.1], [0.3, 0.1, 0.2]])
    np.testing.assert_array_equal(below.images[0].get_array(), [[1, 1, 0], [1, 0, 1]])
    assert [text.get_text() for text in below.texts] == ["1", "2", "1", "2"]
    assert [label.get_text() for label in below.get_xticklabels()] == ["1", "2", "0"]
    assert collisions(figure) == []


def test_class_bars_name_the_classes_and_their_probabilities():
    figure, axes = drawn()
    classes = [("espresso", 0.9), ("a $cup$ of <b>", 0.0352), ("x" * 90, 0.0001)]
    class_bars(axes, classes, {"espresso": SUPPORTS}, 0.9)
    assert [bar.get_width() for bar in axes.patches] == [0.9, 0.0352, 0.0001]
    said = [text for text, _ in texts(figure)]
    assert said[:2] == ["espresso  90 %", "a $cup$ of <b>  3.5 %"]
    assert said[2].endswith("…  < 0.1 %") and len(said[2]) < 50
    assert collisions(figure) == []


def test_the_control_shows_each_random_set_and_the_blanked_one():
    figure, axes = drawn()
    drops, changed = np.array([0.1, 0.1, 0.2]), np.array([False, False, True])
    random_control(axes, drops, changed, 0.7, True, "espresso")
    stays, changes, chosen = (c.get_offsets() for c in axes.collections)
    np.testing.assert_allclose(stays[:, 0], [0.1, 0.1])
    assert stays[0, 1] != stays[1, 1]
    np.testing.assert_allclose(changes[:, 0], [0.2])
    np.testing.assert_allclose(chosen, [[0.7, 0]])
    assert axes.get_xlabel() == "how far the probability of espresso falls"
    assert collisions(figure) == []
