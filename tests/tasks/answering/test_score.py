from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from torchmetrics.functional.text import squad as torchmetrics_squad

from qa_research.tasks.answering.score import (
    QuestionScore,
    exact_match,
    f1,
    mean_scores,
    normalize,
    note_on_unspaced,
    paragraphs_of,
    rules_for,
    score_question,
    score_questions,
    summarize,
    summarize_by_kind,
)
from tests.tasks.answering.answered import question_with


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The  Cat!", "cat"),
        ("a an the", ""),
        ("U.S.", "us"),
        ("another theme", "another theme"),
        ("20.8 %", "208"),
        ("the-end", "theend"),
    ],
)
def test_normalize(text, wanted):
    assert normalize(text) == wanted


def test_f1_by_hand():
    assert f1("the red house", "red house on hill", "v1.1") == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert f1("no", "yes", "v1.1") == 0


def test_rules_differ_on_answers_that_are_empty_after_normalising():
    assert exact_match("the", "a") == 1
    assert f1("the", "a", "v1.1") == 0
    assert f1("the", "a", "v2.0") == 1
    assert f1("the", "cat", "v2.0") == 0


def test_the_best_gold_counts():
    assert score_question(question_with("a dog", "cat"), "the cat", "v1.1").exact_match == 1


def test_v2_ignores_golds_that_normalise_to_nothing():
    assert score_question(question_with("the", "cat"), "", "v2.0").exact_match == 0
    assert score_question(question_with("the"), "", "v2.0").exact_match == 1
    assert score_question(question_with(), "", "v2.0").f1 == 1
    assert score_question(question_with(), "cat", "v2.0").f1 == 0


def test_v1_refuses_a_question_without_answer():
    with pytest.raises(ValueError, match="question 1 has no answer"):
        score_question(question_with(), "x", "v1.1")
    assert rules_for([question_with()]) == "v2.0" and rules_for([question_with("x")]) == "v1.1"


TEXTS = st.text(alphabet="ab the.,'-éİ 12\n", max_size=20) | st.lists(
    st.sampled_from(["the", "a", "cat", "Dog", "12", "%", "don't"]), max_size=6
).map(" ".join)


def torchmetrics_means(pairs):
    """Exact match and F1 of (prediction, golds) pairs as torchmetrics gives them."""
    found = torchmetrics_squad(
        [{"id": str(i), "prediction_text": text} for i, (text, _) in enumerate(pairs)],
        [
            {"id": str(i), "answers": {"text": golds, "answer_start": [0] * len(golds)}}
            for i, (_, golds) in enumerate(pairs)
        ],
    )
    return found["exact_match"].item(), found["f1"].item()


PAIRS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=5)


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_means_equal_torchmetrics_where_nothing_is_empty_after_normalising(pairs):
    pairs = [(p, [g for g in golds if normalize(g)]) for p, golds in pairs if normalize(p)]
    pairs = [(p, golds) for p, golds in pairs if golds]
    assume(pairs)
    questions = [question_with(*golds, identity=str(i)) for i, (_, golds) in enumerate(pairs)]
    predictions = {str(i): text for i, (text, _) in enumerate(pairs)}
    for rules in ("v1.1", "v2.0"):
        scores = score_questions(questions, predictions, rules)
        means = [
            100 * np.mean([getattr(s, name) for s in scores]) for name in ("exact_match", "f1")
        ]
        assert means == pytest.approx(torchmetrics_means(pairs), abs=1e-4)


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_torchmetrics_treats_empty_texts_as_v2_does(pairs):
    exact = [max(exact_match(text, gold) for gold in golds) for text, golds in pairs]
    overlap = [max(f1(text, gold, "v2.0") for gold in golds) for text, golds in pairs]
    means = (100 * np.mean(exact), 100 * np.mean(overlap))
    assert means == pytest.approx(torchmetrics_means(pairs), abs=1e-4)


def about(contexts, f1s):
    """Scores of questions about contexts of these numbers."""
    return [
        QuestionScore(str(i), "lookup", context, "", float(f1 == 1), f1)
        for i, (context, f1) in enumerate(zip(contexts, f1s, strict=True))
    ]


def test_the_interval_of_exact_match_is_clopper_and_pearsons():
    every = summarize(about(range(20), [1.0] * 20))
    assert every.exact_match.high == every.f1.high == 100
    # 0.025 ** (1 / 20): the chance of 20 right answers of 20 is 2.5 % there.
    assert every.exact_match.low == pytest.approx(83.157, abs=1e-3) == every.f1.low
    some = summarize(about(range(1000), [1.0] * 300 + [0.0] * 700)).exact_match
    wanted = binomtest(300, 1000).proportion_ci(0.95, method="exact")
    assert (some.low, some.high) == pytest.approx((100 * wanted.low, 100 * wanted.high))
    assert (some.value, some.wider) == (pytest.approx(30), 1)


def test_questions_about_one_paragraph_make_the_interval_wider():
    # Each paragraph is wholly right or wholly wrong, as if only 100 questions had been asked.
    f1s = [1.0] * 200 + [0.0] * 300
    alone = summarize(about(range(500), f1s)).f1
    together = summarize(about([i // 5 for i in range(500)], f1s))
    assert together.paragraphs == 100
    wider = (together.f1.high - together.f1.low) / (alone.high - alone.low)
    assert together.f1.wider == pytest.approx(wider) == pytest.approx(5**0.5, rel=0.05)
    wanted = binomtest(40, 100).proportion_ci(0.95, method="exact")
    assert together.f1.low == pytest.approx(100 * wanted.low, abs=0.6)
    assert together.f1.high == pytest.approx(100 * wanted.high, abs=0.6)


def test_a_paragraph_is_a_context_letter_by_letter():
    rows = [question_with("x", identity=str(i)) for i in range(4)]
    contexts = ["a b", "c", "a b", "a  b"]
    rows = [replace(row, context=text) for row, text in zip(rows, contexts, strict=True)]
    assert paragraphs_of(rows) == [0, 1, 0, 2]
    assert [score.paragraph for score in score_questions(rows, {}, "v1.1")] == [0, 1, 0, 2]


def test_a_mean_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no scores"):
        mean_scores([])


def test_kinds_are_summarized_separately():
    questions = [
        question_with("x", identity=str(i), kind="match" if i < 3 else "lookup") for i in range(5)
    ]
    predictions = {"0": "x", "3": "x", "4": "x"}
    parts = summarize_by_kind(score_questions(questions, predictions, "v1.1"))
    assert list(parts) == ["match", "lookup"]
    assert (parts["match"].total, parts["lookup"].exact_match.value) == (3, 100)
    assert parts["match"].exact_match.value == pytest.approx(100 / 3)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=3), st.sampled_from(["v1.1", "v2.0"]))
def test_f1_is_never_below_exact_match(prediction, golds, rules):
    assume(golds or rules == "v2.0")
    score = score_question(question_with(*golds), prediction, rules)
    assert score.f1 >= score.exact_match


def test_answers_without_blanks_are_noted():
    spaced, unspaced = question_with("red crane"), question_with("玛尔塔", "Martha")
    assert note_on_unspaced([spaced]) is None
    assert "1 of 2 questions have answers in a script" in str(note_on_unspaced([spaced, unspaced]))
    assert note_on_unspaced([question_with("นัท")]) and not note_on_unspaced([question_with("북항")])
