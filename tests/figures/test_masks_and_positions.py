"""Maps of masks, and figures of positional encodings."""

import numpy as np
import pytest

from qa_research.figures.masks import MaskPanel, masks
from qa_research.figures.positions import positions, similarity_by_distance
from qa_research.model.attended import causal, local
from qa_research.model.positions import sinusoidal
from tests.forward_page import draw, mask_panels


def shown(axis):
    (image,) = axis.get_images()
    return np.asarray(image.get_array())


def test_each_mask_is_a_map_with_its_tokens_and_its_words():
    named = MaskPanel(
        "Causal", "nobody sees what comes later", causal(2).numpy(), ("a", "$b$"), ("c", "d")
    )
    figure = masks([named, MaskPanel("Local", "near", local(12, 1).numpy())])
    first, second = figure.axes
    assert shown(first).tolist() == [[1, 0], [1, 1]]
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "$b$"]
    assert [label.get_text() for label in first.get_xticklabels()] == ["c", "d"]
    assert [label.get_text() for label in second.get_xticklabels()] == ["0", "4", "8"]
    assert first.get_title("left") == "Causal" and first.texts[0].get_text() == named.says


def test_the_page_explains_the_masks_that_the_code_has():
    seen = {panel.name: panel.seen for panel in mask_panels()}
    assert not seen["Padding"][:, 4:].any() and seen["Padding"][:, :4].all()
    assert seen["Cross-attention"].shape == (4, 5)
    assert (seen["Both"] == (seen["Local"] | seen["Strided"])).all()
    steps = seen["Both"].astype(int)
    assert (steps @ steps > 0).all()


def test_positions_are_drawn_as_they_are():
    encoding = sinusoidal(30, 16).double().numpy()
    figure = positions(encoding, "name", (2, 9))
    heat, curves, similarity, _ = figure.axes
    np.testing.assert_array_equal(shown(heat), encoding.T)
    for line, unit in zip(curves.get_lines(), (2, 9), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), encoding[:, unit])
    low, mean, high = similarity_by_distance(encoding)
    np.testing.assert_array_equal(similarity.get_lines()[0].get_ydata(), mean)
    np.testing.assert_allclose(low, high, atol=1e-6)
    assert mean[0] == pytest.approx(1)


def test_encodings_that_know_more_than_distances_have_a_band():
    learned = np.random.default_rng(1).normal(size=(6, 4))
    learned[0] = 0
    low, mean, high = similarity_by_distance(learned)
    assert (low <= mean).all() and (mean <= high).all() and (low[1:5] < high[1:5]).all()
    assert low[0] == 0 and high[0] == pytest.approx(1), "an encoding of zeros is like no other"


def test_a_unit_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="the units are 0 to 3"):
        positions(np.ones((5, 4)), "name", (1, 4))
    with pytest.raises(ValueError, match="two positions are the least"):
        positions(np.ones((1, 4)), "name", (1, 2))


def test_the_pictures_of_the_page_can_be_drawn_again(tmp_path):
    draw(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks.png", "positions.png"]
