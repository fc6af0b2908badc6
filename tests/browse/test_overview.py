from dataclasses import replace

import pytest

from qa_research.browse.overview import Repeated, Spread, overview, spread
from qa_research.tasks.answering.question import Gold, Question


def test_a_spread_has_the_usual_five_numbers():
    assert spread(range(1, 101)) == Spread(1, 50.5, 50.5, 95, 100)
    assert spread([7]) == Spread(7, 7, 7, 7, 7)
    assert spread([3, 1, 2]) == Spread(1, 2, 2, 3, 3)


def test_lengths_count_each_context_once_and_only_first_answers(questions):
    both = (*questions[0].answers, Gold("Ms", 0))
    found = overview([replace(questions[0], answers=both), *questions[1:]], None)
    assert (found.questions, found.contexts, found.titles) == (8, 2, 1)
    lengths = found.lengths
    assert set(lengths) == {"question", "context", "first answer"}
    contexts = sorted(len(text) for text in {row.context for row in questions})
    assert (lengths["context"]["characters"].minimum, lengths["context"]["characters"].maximum) == (
        contexts[0],
        contexts[1],
    )
    assert lengths["context"]["words"].mean == (15 + 18) / 2
    assert lengths["first answer"]["words"] == Spread(1, 2, 1.625, 2, 2)
    assert "tokens" not in lengths["question"]


def test_tokens_are_counted_where_something_counts_them(questions):
    found = overview(questions, lambda texts: [2 * len(text.split()) for text in texts])
    for by_unit in found.lengths.values():
        assert by_unit["tokens"].mean == 2 * by_unit["words"].mean


def test_answers_are_counted_by_question_and_by_text(questions):
    several = (Gold("Ms Lund", 0), Gold("Lund", 3), Gold("Ms Lund", 0))
    nothing = Question("u", "t", "A text.", "Why?", (), "why")
    found = overview([replace(questions[0], answers=several), questions[1], nothing], None)
    assert found.unanswerable == 1
    assert found.answers_per_question == {0: 1, 1: 1, 3: 1}
    assert found.distinct_answers_per_question == {0: 1, 1: 1, 2: 1}
    assert found.distinct_answers == 3
    assert found.kinds == {"lookup": 2, "why": 1}


def test_repetitions_are_counted_by_what_is_repeated(questions):
    first = questions[0]
    rows = [
        *questions[:4],
        first,
        replace(first, id="other"),
        replace(first, id="another", context="Ms Lund also teaches judo."),
    ]
    assert overview(rows, None).repeated == {
        "id": Repeated(1, 2),
        "question and context": Repeated(1, 3),
        "question": Repeated(1, 4),
        "context": Repeated(1, 6),
    }


def test_misplaced_answers_and_unusable_rows_are_counted(questions):
    rows = [
        *questions,
        replace(questions[0], id="a", answers=(Gold("Ms Lund", 1),)),
        replace(questions[0], id="b", answers=(Gold("Ms Lund", 0), Gold("s", -1))),
        replace(questions[0], question=" "),
    ]
    found = overview(rows, None)
    assert found.misplaced == 2
    assert [bad.position for bad in found.bad_rows] == [8, 9, 10]


def test_only_unanswerable_questions_have_no_answers_to_measure():
    found = overview([Question("u", "t", "A text.", "Why?", (), "why")], None)
    assert "first answer" not in found.lengths and found.distinct_answers == 0


def test_an_empty_set_cannot_be_described():
    with pytest.raises(ValueError, match="no questions"):
        overview([], None)
