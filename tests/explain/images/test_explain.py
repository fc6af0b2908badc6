import json

import numpy as np
import pytest

from qa_research.explain.images.classifier import ImageClassifier
from qa_research.explain.images.result import ARRAYS, EXPLANATION, Explanation
from qa_research.explain.images.segments import Grid
from qa_research.explain.images.settings import CounterfactualSettings
from tests.explain.images.linear_classifier import WEIGHTS, Screen, linear_classifier


def test_a_linear_classifier_is_explained_exactly(explained):
    found = explained()
    assert not found.sampling.exact
    assert found.surrogate.r2 > 0.999
    assert found.by_number("coefficient") == pytest.approx(WEIGHTS, abs=1e-5)
    assert list(found.order) == list(np.argsort(-np.array(WEIGHTS)))
    assert found.verdict.word == "stable"
    # All that support it, but for the one without any effect.
    assert found.stable_top.k == 11
    assert found.verdict.ranks.startswith("The top 11 are stable: all 3 seeds name them")
    assert found.stability.jaccard == found.stability.sign_agreement == 1
    assert (found.curves.deletion.beaten, found.curves.insertion.beaten) == (1, 1)
    # Nothing is in doubt after the first look.
    assert found.sampling.samples == 100


@pytest.mark.parametrize("surrogate", ["ridge", "lasso"])
def test_with_a_penalty_order_and_sign_stay(explained, surrogate):
    found = explained(surrogate=surrogate, alpha=1e-3 if surrogate == "ridge" else 1e-5)
    coefficients = found.by_number("coefficient")
    big = np.abs(WEIGHTS) > 0.005
    assert (np.sign(coefficients[big]) == np.sign(np.array(WEIGHTS)[big])).all()
    assert list(found.order[:4]) == [3, 8, 13, 0]
    assert found.surrogate.r2 > 0.99


def test_intervals_hold_the_coefficients(explained):
    for segment in explained().segments:
        assert segment.low - 1e-7 <= segment.coefficient <= segment.high + 1e-7


def test_few_segments_are_enumerated_and_nothing_is_left_to_chance(explained):
    found = explained(weights=[0.1, -0.05, 0.2, 0.02], top=2)
    assert found.arrays.masks.shape == (16, 4)
    assert found.stability is None
    assert all(segment.low == segment.high for segment in found.segments)
    assert found.by_number("coefficient") == pytest.approx([0.1, -0.05, 0.2, 0.02], abs=1e-5)
    assert found.as_json()["sampling"] == {"exact": True, "seeds": 1, "samples": 16, "masks": 16}


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (1, 3), (2, 2), (2, 3)])
@pytest.mark.parametrize("surrogate", ["ridge", "linear"])
def test_all_masks_of_an_additive_picture_give_its_own_numbers(explained, rows, columns, surrogate):
    weights = [0.41, -0.27, 0.073, 0.0034, -0.11, 0.09][: rows * columns]
    found = explained(
        weights=weights,
        classifier=linear_classifier(weights, 0.4, shape=(rows, columns)),
        segmenter=Grid(rows=rows, columns=columns),
        surrogate=surrogate,
        top=1,
    )
    assert found.sampling.exact and found.surrogate.kind == "linear"
    coefficients = found.by_number("coefficient")
    assert coefficients == pytest.approx(weights, abs=1e-6)
    assert (np.sign(coefficients) == np.sign(weights)).all()
    assert not [doubt for doubt in found.verdict.doubts if "act together" in doubt]


def test_two_segments_show_nothing_of_how_linear_a_classifier_is(explained):
    classifier = linear_classifier([0.3, 0.2], 0.4, shape=(1, 2))
    found = explained(
        weights=[0.3, 0.2], classifier=classifier, segmenter=Grid(rows=1, columns=2), top=1
    )
    assert found.verdict.word == "doubtful"
    assert found.verdict.doubts == (
        "With only 2 segments every classifier looks linear, so R² shows nothing.",
    )


def test_rounding_in_bfloat16_is_measured_on_masks_repeated_in_float32(explained):
    class Rounded(ImageClassifier):
        """Two digits only, as if in bfloat16."""

        def predict(self, batch):
            return super().predict(batch).round(2)

        def in_float32(self):
            return linear_classifier(WEIGHTS, 0.4)

    classifier = linear_classifier(WEIGHTS, 0.4)
    classifier.__class__ = Rounded
    classifier.precision = "bfloat16"
    facts = explained(classifier=classifier).surrogate
    assert facts.repeated == 128
    assert facts.r2_in_float32 > 0.9999 > facts.r2_repeated
    assert explained().surrogate.repeated == 0


def test_equal_segments_cannot_be_distinguished_and_masks_are_added_up_to_the_limit(explained):
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
    assert found.sampling.samples == 200
    assert not found.separation.separate
    assert found.stable_top.k < 4
    assert {3, 4, 5} & set(found.stable_top.tied)
    # Not only the first run below the stable top.
    tied = {rank for low, high in found.tied_ranks for rank in range(low, high + 1)}
    assert {one.rank for one in found.segments if one.tied} == tied
    assert " are tied." in found.verdict.ranks


def test_a_classifier_that_never_changes_its_mind_is_not_explained(explained):
    found = explained(weights=[0.0] * 16)
    assert found.verdict.word == "unstable"
    assert found.verdict.doubts == (
        "The class's probability does not change whatever is switched off.",
    )
    assert found.as_json()["surrogate"]["r2"] is None


def test_another_class_than_the_winner_can_be_explained(explained):
    found = explained(label="cat")
    assert found.by_number("coefficient") == pytest.approx(-np.array(WEIGHTS), abs=1e-5)
    assert (found.explained.label, found.explained.index, found.explained.place) == ("cat", 1, 2)
    with pytest.raises(
        ValueError, match="label=dgo is not a class of this classifier; did you mean dog"
    ):
        explained(label="dgo")


def test_a_penalty_that_leaves_nothing_is_said(explained):
    found = explained(surrogate="lasso", alpha=1.0)
    assert found.verdict.word == "unstable"
    assert "smaller lime.alpha" in found.verdict.doubts[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_samples": 50}, "lime.max_samples=50 is less than lime.samples=100"),
        ({"counterfactual": CounterfactualSettings(3, "flip", 10, 500)}, "name only one of them"),
        (
            {"counterfactual": CounterfactualSettings(16, None, 10, 500)},
            "counterfactual.top=16, but there are 16 segments",
        ),
        ({"top": 16}, "trust.top=16, but there are 16 segments.*set trust.top=15 or less"),
        (
            {"random_orders": 1},
            "trust.random_orders=1 cannot show at trust.confidence=0.95.*at least 19 can",
        ),
        ({"random_orders": 20, "confidence": 0.99}, "at least 99 can"),
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
        explained(counterfactual=settings, cache=cache).save(tmp_path / str(i))
        contents.append([(tmp_path / str(i) / name).read_bytes() for name in (EXPLANATION, ARRAYS)])
    assert contents[0] == contents[1] == contents[2]
    explained(counterfactual=settings, seed=2).save(tmp_path / "other")
    assert (tmp_path / "other" / EXPLANATION).read_bytes() != contents[0][0]


def test_a_saved_explanation_is_loaded_as_it_was_to_six_digits(explained, tmp_path):
    found = explained(counterfactual=CounterfactualSettings(4, None, 10, 500))
    found.save(tmp_path)
    loaded = Explanation.load(tmp_path)
    assert loaded.as_json() == found.as_json()
    for name, array in vars(found.arrays).items():
        assert (getattr(loaded.arrays, name) == array).all()


def test_a_loaded_explanation_is_saved_to_the_same_bytes(explained, tmp_path):
    # Nothing changes, so R2 and the rank correlation are not numbers: JSON has null for them.
    explained(weights=[0.0] * 16).save(tmp_path / "a")
    Explanation.load(tmp_path / "a").save(tmp_path / "b")
    for name in (EXPLANATION, ARRAYS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_is_written_is_strict_json_and_contains_no_path(explained, tmp_path):
    explained(weights=[0.0] * 16).save(tmp_path / "a")
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
        (2 * 21 * 17, 2 * 21 * 17),
    ]
