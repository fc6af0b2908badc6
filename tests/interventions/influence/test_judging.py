"""Linear datamodeling scores."""

import numpy as np
import pytest

from qa_research.interventions.influence.judging import chance_scores, datamodeling_scores


def judged(scores, kept, losses, reference="text"):
    found = datamodeling_scores(scores, kept, losses, reference)
    return {one.method: one for one in found}


def test_the_example_of_the_docstring():
    kept = np.eye(3, dtype=bool)
    own = np.array([[2.0, 1.0, 0.0]])
    losses = np.array([[0.1], [0.3], [0.2]])
    assert judged({"text": own}, kept, losses)["text"].score == pytest.approx(0.5)


@pytest.fixture
def trainings():
    """40 trainings on random halves of 30 examples, whose losses are a sum of what each example does."""
    rng = np.random.default_rng(5)
    kept = np.stack([rng.permutation(30) < 15 for _ in range(40)])
    truth = rng.standard_normal((8, 30))
    return kept, truth, -(kept @ truth.T) + 0.01 * rng.standard_normal((40, 8))


def test_the_truth_is_judged_best_and_its_opposite_worst(trainings):
    kept, truth, losses = trainings
    found = judged({"own": truth, "text": -truth, "half": truth + 1.5}, kept, losses)
    assert found["own"].score > 0.98 and found["text"].score < -0.98
    # As many are kept each time, so a constant changes nothing.
    assert found["half"].score == pytest.approx(found["own"].score)
    assert found["text"].above is None
    value, low, high = found["own"].above
    assert value == pytest.approx(found["own"].score - found["text"].score)
    assert 1.9 < low <= value <= high


def test_scores_that_know_nothing_are_within_chance(trainings):
    kept, _, losses = trainings
    low, high = chance_scores(kept, losses)
    assert low < 0 < high < 0.2
    rng = np.random.default_rng(6)
    inside = [
        low <= judged({"text": rng.standard_normal((8, 30))}, kept, losses)["text"].score <= high
        for _ in range(20)
    ]
    assert sum(inside) >= 16


def test_an_interval_that_resamples_trainings_is_wider_with_fewer(trainings):
    kept, truth, losses = trainings
    rng = np.random.default_rng(7)
    noisy = truth + 2 * rng.standard_normal(truth.shape)
    many = judged({"text": noisy}, kept, losses)["text"]
    few = judged({"text": noisy}, kept[:10], losses[:10])["text"]
    assert many.low < many.score < many.high
    assert few.high - few.low > many.high - many.low


def test_a_question_whose_loss_never_changes_counts_as_no_correlation(trainings):
    kept, truth, losses = trainings
    losses = losses.copy()
    losses[:, 0] = 0.25
    found = judged({"text": truth}, kept, losses)["text"]
    assert found.score == pytest.approx(7 / 8, abs=0.02)
