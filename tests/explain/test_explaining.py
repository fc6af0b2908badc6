import json
from dataclasses import replace

import numpy as np
import pytest

from qa_research.explain.classifier import ImageClassifier
from qa_research.explain.explaining import Wish, explain
from qa_research.explain.folder import ARRAYS, EXPLANATION, write_explanation
from qa_research.explain.settings import CounterfactualSettings, LimeSettings, TrustSettings
from tests.explain.linear_classifier import cells, linear_classifier, white

# Of 16 cells; no two are equal.
WEIGHTS = [
    0.03,
    -0.02,
    0.001,
    0.07,
    0.01,
    -0.05,
    0.02,
    0.004,
    0.05,
    -0.01,
    0.006,
    0.015,
    -0.03,
    0.04,
    0.0,
    0.025,
]
LIME = LimeSettings(
    baseline="black",
    surrogate="linear",
    alpha=1.0,
    kernel_width=0.25,
    samples=100,
    more_samples=50,
    max_samples=200,
    cache=True,
)
TRUST = TrustSettings(top=4, seeds=3, confidence=0.95, resamples=60, random_orders=10)
NO_COUNTERFACTUAL = CounterfactualSettings(None, None, 10, 500)


class Screen:
    def __init__(self):
        self.parts = []

    def part(self, what, most):
        self.parts.append([what, most, 0])

    def tick(self, n):
        self.parts[-1][2] += n


@pytest.fixture
def explained(tmp_path):
    def make(
        weights=WEIGHTS,
        picture=None,
        screen=None,
        label=None,
        seed=1,
        labels=("dog", "cat"),
        **changes,
    ):
        lime = replace(LIME, **{k: v for k, v in changes.items() if k in LimeSettings.__slots__})
        trust = replace(TRUST, **{k: v for k, v in changes.items() if k in TrustSettings.__slots__})
        wish = Wish(
            label,
            seed,
            changes.get("segmenter", cells(len(weights))),
            lime,
            trust,
            changes.get("counterfactual", NO_COUNTERFACTUAL),
            "qa-research explain",
            {"lime": {"surrogate": lime.surrogate, "baseline": "black"}},
        )
        classifier = changes.get("classifier") or linear_classifier(weights, 0.4, labels=labels)
        return explain(picture or white(), classifier, wish, tmp_path / "cache", screen or Screen())

    return make


def test_a_linear_classifier_is_explained_exactly(explained):
    found = explained()
    fit = found.sampled.fit
    assert not found.sampled.exact
    assert fit.r2 > 0.999
    assert fit.coefficients == pytest.approx(WEIGHTS, abs=1e-5)
    assert list(found.sampled.order) == list(np.argsort(-np.array(WEIGHTS)))
    assert found.verdict.word == "stable"
    assert found.sampled.stability.jaccard == found.sampled.stability.sign_agreement == 1
    assert [c.beaten for c in found.curves] == [1, 1]
    # Nothing is in doubt after the first look.
    assert found.sampled.samples == 100


@pytest.mark.parametrize("surrogate", ["ridge", "lasso"])
def test_with_a_penalty_order_and_sign_stay(explained, surrogate):
    found = explained(surrogate=surrogate, alpha=1.0 if surrogate == "ridge" else 1e-5)
    coefficients = found.sampled.fit.coefficients
    big = np.abs(WEIGHTS) > 0.005
    assert (np.sign(coefficients[big]) == np.sign(np.array(WEIGHTS)[big])).all()
    assert list(found.sampled.order[:4]) == [3, 8, 13, 0]
    assert found.sampled.fit.r2 > 0.99


def test_intervals_hold_the_coefficients(explained):
    sampled = explained().sampled
    assert (sampled.low <= sampled.fit.coefficients + 1e-9).all()
    assert (sampled.high >= sampled.fit.coefficients - 1e-9).all()


def test_few_segments_are_enumerated_and_nothing_is_left_to_chance(explained):
    found = explained(weights=[0.1, -0.05, 0.2, 0.02])
    assert found.sampled.exact
    assert len(found.sampled.masks) == 16
    assert found.sampled.stability is None
    assert (found.sampled.low == found.sampled.high).all()
    assert found.sampled.fit.coefficients == pytest.approx([0.1, -0.05, 0.2, 0.02], abs=1e-5)
    assert found.as_json()["sampling"] == {"exact": True, "seeds": 1, "samples": 16, "masks": 16}


def test_equal_segments_cannot_be_told_apart_and_masks_are_added_up_to_the_limit(explained):
    class Noisy(ImageClassifier):
        """Adds what depends on all segments together, so that no look is without doubt."""

        def predict(self, batch):
            p = super().predict(batch)
            jitter = 0.05 * np.sin(1000 * p[:, :1])
            return np.concatenate([p[:, :1] + jitter, p[:, 1:] - jitter], axis=1)

    weights = [0.05, 0.04, 0.03, 0.01, 0.01, 0.01, *[0.0] * 10]
    classifier = linear_classifier(weights, 0.4)
    classifier.__class__ = Noisy
    found = explained(weights=weights, classifier=classifier)
    assert found.sampled.samples == 200
    assert not found.sampled.separation.separate
    assert {3, 4, 5} & set(found.sampled.separation.tied)
    assert found.verdict.word in ("doubtful", "unstable")
    assert any("Ranks 4 and 5 cannot be told apart" in doubt for doubt in found.verdict.doubts)


def test_a_classifier_that_never_changes_its_mind_is_not_explained(explained):
    found = explained(weights=[0.0] * 16)
    assert found.verdict.word == "unstable"
    assert found.verdict.doubts == (
        "The class's probability does not change whatever is switched off.",
    )
    assert found.as_json()["surrogate"]["r2"] is None


def test_another_class_than_the_winner_can_be_explained(explained):
    found = explained(label="cat")
    assert found.label == 1
    assert found.sampled.fit.coefficients == pytest.approx(-np.array(WEIGHTS), abs=1e-5)
    assert found.as_json()["explained"]["place"] == 2
    with pytest.raises(
        ValueError, match="label=dgo is no class of this classifier; did you mean dog"
    ):
        explained(label="dgo")


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


def test_a_penalty_that_leaves_nothing_is_said(explained):
    found = explained(surrogate="lasso", alpha=1.0)
    assert found.verdict.word == "unstable"
    assert "smaller lime.alpha" in found.verdict.doubts[0]


def test_what_nothing_flips_is_said_and_the_top_is_blanked_all_the_same(explained):
    weights = [w / 4 for w in WEIGHTS]
    strong = linear_classifier(weights, 0.8)
    settings = CounterfactualSettings(None, "flip", 10, 100)
    found = explained(weights=weights, classifier=strong, counterfactual=settings)
    shown = found.as_json()["counterfactual"]
    assert shown["flip"]["segments"] is None and not shown["flip"]["proven_smallest"]
    assert shown["segments"] == [3, 8, 13, 0] and not shown["flipped"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_samples": 50}, "lime.max_samples=50 is less than lime.samples=100"),
        ({"counterfactual": CounterfactualSettings(3, "flip", 10, 500)}, "name one of them"),
        (
            {"counterfactual": CounterfactualSettings(16, None, 10, 500)},
            "counterfactual.top=16, but there are 16 segments",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_anything_is_predicted(
    explained, changes, said
):
    screen = Screen()
    with pytest.raises(ValueError, match=said):
        explained(screen=screen, **changes)
    assert screen.parts == []


def test_the_same_seed_gives_the_same_files_with_the_cache_and_without(explained, tmp_path):
    settings = CounterfactualSettings(4, None, 10, 500)
    contents = []
    for i, cache in enumerate((True, True, False)):
        write_explanation(tmp_path / str(i), explained(counterfactual=settings, cache=cache))
        contents.append([(tmp_path / str(i) / name).read_bytes() for name in (EXPLANATION, ARRAYS)])
    assert contents[0] == contents[1] == contents[2]
    write_explanation(tmp_path / "other", explained(counterfactual=settings, seed=2))
    assert (tmp_path / "other" / EXPLANATION).read_bytes() != contents[0][0]


def test_what_is_written_is_json_for_everybody_and_holds_no_path(explained, tmp_path):
    write_explanation(tmp_path / "a", explained(weights=[0.0] * 16))
    text = (tmp_path / "a" / EXPLANATION).read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert str(tmp_path) not in text
    assert found["segments"][0]["rank"] == 1 and len(found["segments"]) == 16
    with np.load(tmp_path / "a" / ARRAYS) as arrays:
        assert arrays["masks"].shape[1] == 16 and arrays["segments"].shape == (24, 24)


def test_progress_is_told_and_never_beyond_what_was_announced(explained):
    screen = Screen()
    explained(screen=screen)
    (explaining, *_), (curves, *_) = screen.parts
    assert explaining == "Explaining dog" and curves == "Deletion and insertion"
    assert [(most, done) for _, most, done in screen.parts] == [
        (600, 300),
        (2 * 11 * 17, 2 * 11 * 17),
    ]
