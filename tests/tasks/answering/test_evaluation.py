import pytest

from qa_research.tasks.answering.evaluation import evaluate_v1, evaluate_v2, summary_as_official
from tests.tasks.answering.answered import question_with

CAT, DOG = question_with("cat", identity="1"), question_with("dog", identity="2")


def test_v1_counts_a_missing_prediction_as_wrong():
    found = evaluate_v1([CAT, DOG], {"1": "The cat"})
    assert found == {"exact_match": 50, "f1": 50, "total": 2}


def test_v2_skips_a_missing_prediction():
    found = evaluate_v2([CAT, DOG], {"1": "cat"}, None, 1.0)
    assert (found["exact_match"], found["total"]) == (100, 1)


QUESTIONS = [
    question_with("red cat", identity="1"),
    DOG,
    question_with(identity="3"),
    question_with(identity="4"),
]
PREDICTIONS = {"1": "cat", "2": "dog", "3": "", "4": "bird"}


def test_v2_splits_by_answerable():
    found = evaluate_v2(QUESTIONS, PREDICTIONS, None, 1.0)
    assert found["total"] == 4 and found["HasAns_total"] == found["NoAns_total"] == 2
    assert found["HasAns_exact_match"] == 50
    assert found["HasAns_f1"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert found["NoAns_exact_match"] == found["NoAns_f1"] == 50
    assert found["exact_match"] == 50
    assert "best_f1" not in found


def test_odds_above_the_threshold_count_as_no_answer():
    odds = {"1": 0.0, "2": 0.9, "3": 0.0, "4": 0.9}
    found = evaluate_v2(QUESTIONS, PREDICTIONS, odds, 0.5)
    assert found["NoAns_exact_match"] == 100
    assert found["HasAns_exact_match"] == 0


def test_the_best_threshold_is_found_by_trying_all():
    odds = {"1": 0.5, "2": 0.1, "3": 0.3, "4": 0.8}
    found = evaluate_v2(QUESTIONS, PREDICTIONS, odds, 1.0)
    by_trial = max(
        evaluate_v2(QUESTIONS, PREDICTIONS, odds, threshold)["f1"]
        for threshold in (-1.0, *odds.values())
    )
    assert found["best_f1"] == pytest.approx(by_trial)
    assert found["best_f1_threshold"] == 0.5
    assert found["best_exact_match_threshold"] == 0.1


def test_abstaining_counts_all_unanswerable_questions_of_the_data_as_the_script_does():
    found = evaluate_v2(
        [*QUESTIONS, question_with(identity="5")], PREDICTIONS, dict.fromkeys("12345", 0.0), 1.0
    )
    # Three unanswerable questions and one right answer, over the four that were predicted.
    assert found["best_exact_match"] == 100


def test_one_id_twice_counts_as_in_the_official_scripts():
    # v1.1 asks every question of the file; v2.0 keeps the last answers to an id.
    twice = [CAT, DOG, question_with("cow", "cat", identity="1")]
    assert evaluate_v1(twice, {"1": "cat", "2": "cow"})["f1"] == pytest.approx(200 / 3)
    twice = [CAT, DOG, question_with("cow", identity="1")]
    found = evaluate_v2(twice, {"1": "cat", "2": "dog"}, None, 1.0)
    assert (found["exact_match"], found["total"]) == (50, 2)


@pytest.mark.parametrize("threshold", [-1.0, 0.2, 0.4, 2.0])
def test_intervals_are_of_the_official_means(threshold):
    odds = {"1": 0.5, "2": 0.1, "3": 0.3, "4": 0.8}
    found = evaluate_v2(QUESTIONS, PREDICTIONS, odds, threshold)
    summary = summary_as_official(QUESTIONS, PREDICTIONS, "v2.0", odds, threshold)
    assert (summary.exact_match.value, summary.f1.value, summary.total) == (
        pytest.approx(found["exact_match"]),
        pytest.approx(found["f1"]),
        found["total"],
    )
    twice = [CAT, DOG, question_with("cow", "cat", identity="1")]
    summary = summary_as_official(twice, {"1": "cat"}, "v1.1", None, 1.0)
    official = evaluate_v1(twice, {"1": "cat"})
    assert (summary.f1.value, summary.total) == (pytest.approx(official["f1"]), 3)
