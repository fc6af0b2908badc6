"""What is said of a training whose own questions are answered far better than others, or hardly at all."""

import pytest

from qa_research.tasks.answering.generalisation import generalisation, on_training
from qa_research.tasks.answering.score import score_question
from tests.tasks.answering.answered import question_with


def record(right: int, asked: int, validation: float, high: float) -> dict:
    scores = [
        score_question(question_with("cat"), "cat" if i < right else "dog", "v1.1", paragraph=i)
        for i in range(asked)
    ]
    return {
        "on_training": on_training(scores),
        "best": {"val/exact_match": validation},
        "best_95": {"val/exact_match": {"low": 0.0, "high": high, "wider": 1.0}},
    }


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (record(43, 60, 8.0, 18.0), "much is learned by heart"),
        # Near each other, or so few questions that nobody knows.
        (record(43, 60, 60.0, 72.0), None),
        (record(3, 5, 20.0, 60.0), None),
        (record(2, 60, 2.0, 9.0), "little is learned so far"),
        (record(13, 60, 20.0, 33.0), "Of 60 training questions 22 % are"),
        (record(60, 60, 99.0, 100.0), None),
    ],
)
def test_a_sentence_needs_a_gap_that_is_larger_than_chance(found, sentence):
    said = generalisation(found)
    assert (said is None) if sentence is None else (sentence in said)


def test_the_sentence_has_both_measurements():
    said = generalisation(record(43, 60, 8.3, 18.0))
    assert said.startswith(
        "Of 60 training questions 72 % are answered exactly, of the validation questions 8 %: "
    )


@pytest.mark.parametrize("missing", ["on_training", "best_95"])
def test_without_a_measurement_nothing_is_said(missing):
    found = record(43, 60, 8.0, 18.0)
    del found[missing]
    assert generalisation(found) is None
