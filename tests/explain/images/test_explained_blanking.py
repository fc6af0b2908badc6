import numpy as np
import pytest

from qa_research.explain.images.settings import CounterfactualSettings
from tests.explain.images.linear_classifier import WEIGHTS, Screen, linear_classifier


def test_blanking_the_top_predicts_and_explains_again(explained):
    screen = Screen()
    settings = CounterfactualSettings(4, None, 10, 500)
    found = explained(counterfactual=settings, screen=screen)
    blanking = found.counterfactual
    assert blanking.segments == (3, 8, 13, 0)
    # 0.4 + 0.161 - 0.19 for the dog: now it is a cat.
    dog = 0.4 + sum(WEIGHTS) - 0.19
    assert blanking.first.label == "dog"
    assert blanking.first.probability_after == pytest.approx(dog, abs=1e-5)
    assert blanking.second.probability_after == pytest.approx(1 - dog, abs=1e-5)
    assert blanking.area == 0.25
    assert blanking.flipped
    assert (blanking.second.label, blanking.second.place) == ("cat", 2)
    # Its own predictions: of the class that wins now, by the segments that are left.
    again = blanking.explained_again
    assert sorted(s.number for s in again.segments) == [
        i for i in range(16) if i not in (3, 8, 13, 0)
    ]
    for segment in again.segments:
        assert segment.coefficient == pytest.approx(-WEIGHTS[segment.number], abs=1e-5)
    assert [s.number for s in again.segments[:2]] == [5, 12]
    assert set(again.stability.tops[0]) == {5, 12, 1, 9}
    # No random set of four segments matters as much as the top four.
    assert blanking.control.p_value == pytest.approx(1 / 11, rel=1e-5)
    assert len(set(blanking.control.sets)) == 10
    assert (again.verdict.word, again.stable_top.k) == ("stable", 4)
    assert again.verdict.ranks.startswith("The top 4 are stable: all 3 seeds name them")
    assert set(np.round(blanking.control.areas, 6)) == {0.25}
    assert all(done <= most for _, most, done in screen.parts)


def test_the_fewest_segments_that_flip_the_class(explained):
    # The dog has 0.561; without 3 (0.07) it has less than half.
    found = explained(counterfactual=CounterfactualSettings(None, "flip", 10, 500))
    flip = found.counterfactual.flip
    assert flip.segments == (3,) and flip.proven_smallest
    assert found.counterfactual.searched and found.counterfactual.control.p_value is None
    assert found.counterfactual.flipped


def test_blanking_what_speaks_for_another_class_is_judged_on_that_class(explained):
    settings = CounterfactualSettings(2, None, 10, 500)
    found = explained(label="cat", counterfactual=settings)
    blanking = found.counterfactual
    assert blanking.segments == (5, 12)
    first = blanking.first
    assert first.label == "cat"
    assert first.probability_after == pytest.approx(first.probability - 0.08, abs=1e-4)
    assert not blanking.flipped
    assert blanking.control.p_value == pytest.approx(1 / 11, rel=1e-5)
    with pytest.raises(ValueError, match="flip changes the winning class, which is dog, not cat"):
        explained(label="cat", counterfactual=CounterfactualSettings(None, "flip", 10, 500))


def test_a_class_that_nothing_flips_is_reported_and_the_top_is_blanked_anyway(explained):
    weights = [w / 4 for w in WEIGHTS]
    strong = linear_classifier(weights, 0.8)
    settings = CounterfactualSettings(None, "flip", 10, 100)
    found = explained(weights=weights, classifier=strong, counterfactual=settings)
    blanking = found.counterfactual
    assert blanking.flip.segments is None and not blanking.flip.proven_smallest
    assert blanking.segments == (3, 8, 13, 0) and not blanking.flipped
    # The ranking was not searched, so its control counts.
    assert not blanking.searched and blanking.control.p_value == pytest.approx(1 / 11)
