"""How far networks look, and the steps of each position, as they are drawn."""

import numpy as np
from matplotlib.colors import to_rgb

from qa_research.figures.panels import COLOURS, GREY
from qa_research.figures.reach import LEAST, reach, steps_taken
from tests.figures.drawn import collisions, texts


def heights(panel):
    return [bar.get_height() for bar in panel.patches]


def test_each_network_has_a_bar_where_it_sees():
    figure = reach({"a CNN": np.array([0, 0.1, 1, LEAST / 2, 0.2]), "$x$": np.ones(5)})
    first, second = figure.axes
    np.testing.assert_equal(heights(first), [np.nan, 0.1, 1, np.nan, 0.2])
    middles = [bar.get_x() + bar.get_width() / 2 for bar in second.patches]
    np.testing.assert_allclose(middles, [-2, -1, 0, 1, 2])
    assert first.get_title("left") == "a CNN" and first.get_yscale() == "log"
    assert not collisions(figure)
    written = [text for text, _ in texts(figure)]
    assert "0.01" in written and "$x$" in written
    assert not any("mathdefault" in text for text in written)


def test_steps_stand_over_their_tokens_and_marked_ones_have_a_colour():
    figure = steps_taken(
        [("acg", np.array([1, 3, 2.0]), [1]), ("tt", np.array([4, 4.0]), [])], most=6
    )
    first, second = figure.axes
    assert heights(first) == [1, 3, 2] and heights(second) == [4, 4]
    assert [label.get_text() for label in first.get_xticklabels()] == ["a", "c", "g"]
    colours = [bar.get_facecolor()[:3] for bar in first.patches]
    assert colours == [to_rgb(GREY), to_rgb(COLOURS[1]), to_rgb(GREY)]
    assert first.get_ylim() == (0, 6) == second.get_ylim()
    assert not collisions(figure)
