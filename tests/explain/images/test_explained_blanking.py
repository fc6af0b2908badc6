import numpy as np
import pytest

from qa_research.explain.images.settings import CounterfactualSettings
from tests.explain.images.linear_classifier import WEIGHTS, Screen, linear_classifier


def test_blanking_the_top_predicts_and_explains_again(explained):
    screen = Screen()
    settings = CounterfactualSettings(4, None, 10, 500)
    found = explained(counterfactual=settings, screen=screen)
    blanked = found.counterfactual
    assert blanked.segments == (3, 8, 13, 0)
    # 0.4 + 0.161 - 0.19 for the dog: now it is a cat.
    assert blanked.probabilities == pytest.approx(
        [0.4 + sum(WEIGHTS) - 0.19, 0.6 - sum(WEIGHTS) + 0.19], abs=1e-5
    )
    assert blanked.share == 0.25
    shown = found.as_json()["counterfactual"]
    assert shown["flipped"]
    assert shown["second"]["label"] == "cat" and shown["second"]["place"] == 2
    # Its own predictions: of the class that wins now, on the segments that are left.
    assert list(blanked.left) == [i for i in range(16) if i not in (3, 8, 13, 0)]
    left = -np.array(WEIGHTS)[blanked.left]
    assert blanked.second.fit.coefficients == pytest.approx(left, abs=1e-5)
    assert [s["number"] for s in shown["explained_again"]["segments"][:2]] == [5, 12]
    assert set(shown["explained_again"]["stability"]["tops"][0]) == {5, 12, 1, 9}
    # No random set of four segments holds as much as the top four.
    assert shown["control"]["p_value"] == pytest.approx(1 / 11, rel=1e-5)
    assert set(np.round(blanked.control.shares, 6)) == {0.25}
    assert all(done <= most for _, most, done in screen.parts)


def test_the_fewest_segments_that_flip_the_class(explained):
    # The dog has 0.561; without 3 (0.07) it has less than half.
    found = explained(counterfactual=CounterfactualSettings(None, "flip", 10, 500))
    flip = found.counterfactual.flip
    assert flip.segments == (3,) and flip.proven
    assert found.as_json()["counterfactual"]["flipped"]


def test_blanking_what_speaks_for_another_class_is_judged_on_that_class(explained):
    settings = CounterfactualSettings(2, None, 10, 500)
    found = explained(label="cat", counterfactual=settings)
    shown = found.as_json()["counterfactual"]
    assert shown["segments"] == [5, 12]
    assert shown["first"]["label"] == "cat"
    assert shown["first"]["probability_after"] == pytest.approx(
        shown["first"]["probability"] - 0.08, abs=1e-4
    )
    assert not shown["flipped"]
    assert shown["control"]["p_value"] == pytest.approx(1 / 11, rel=1e-5)
    with pytest.raises(
        ValueError, match="flip changes the class that wins, which is dog and not cat"
    ):
        explained(label="cat", counterfactual=CounterfactualSettings(None, "flip", 10, 500))


def test_what_nothing_flips_is_said_and_the_top_is_blanked_all_the_same(explained):
    weights = [w / 4 for w in WEIGHTS]
    strong = linear_classifier(weights, 0.8)
    settings = CounterfactualSettings(None, "flip", 10, 100)
    found = explained(weights=weights, classifier=strong, counterfactual=settings)
    shown = found.as_json()["counterfactual"]
    assert shown["flip"]["segments"] is None and not shown["flip"]["proven_smallest"]
    assert shown["segments"] == [3, 8, 13, 0] and not shown["flipped"]
