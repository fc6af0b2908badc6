import itertools
import math
import time

import pytest

from qa_research.efficacy.search import Plan, Subject, answer_each, search
from qa_research.ledger.asked import Source, State, start_search
from qa_research.ledger.runs import Ledger
from qa_research.tasks.answering.decode import Answer, Candidate
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.trained import rows_of
from qa_research.tasks.opened import Told

CONTEXT = "Ms Lund teaches chess. Judo is on Monday."
NEVER = math.inf


def make_questions(total):
    return [
        Question(f"q{i}", "t", CONTEXT, f"Who teaches? {i}", (Gold("Ms Lund", 0),), "who")
        for i in range(total)
    ]


def given(question, text, score=1.0):
    start = CONTEXT.index(text)
    candidate = Candidate(text, start, start + len(text), score, 0.5)
    answer = Answer(
        question.id,
        text,
        0.5,
        start,
        start + len(text),
        -1.0,
        (Candidate("", 0, 0, 0.0, 0.0), candidate),
    )
    return rows_of([question], [answer], "v1.1")[0]


def asked_of(state, source, questions, numbers, answer):
    """A subject that answers questions with rows as `TrainedAnswerer` has them."""

    def told(row):
        return Told(row.id, row.question, tuple(gold.text for gold in row.answers), row.kind)

    def text(row):
        return row["prediction"]

    return Subject(state, source, questions, numbers, answer, told, text, "exact_match")


def knows(*numbers):
    """A model that knows the questions of these numbers."""
    return lambda rows: [
        given(row, "Ms Lund" if int(row.id[1:]) in numbers else "chess") for row in rows
    ]


def subject_of(answer, total=100, weights="w1", fingerprint="f1"):
    state = State("run1", "study/run", 50, weights, False)
    source = Source("builtin", "validation", fingerprint, total)
    return asked_of(state, source, make_questions(total), range(total), answer)


def plan_of(goal="right", most=100, size=8, **changes):
    return Plan(goal, most, size, changes.pop("deadline", NEVER), **changes)


def run(ledger, subject, plan, seed=1, on_round=lambda asked: None, should_stop=lambda: False):
    return search(ledger, subject, plan, seed, on_round, should_stop)


def test_questions_count_up_to_and_including_the_first_right_one(ledger):
    order = [row.number for row in run(ledger, subject_of(knows()), plan_of()).rows]
    found = run(ledger, subject_of(knows(order[10], order[12]), weights="w2"), plan_of())
    assert found.ending == "right" and (found.right, found.counted) == (1, 11)
    assert [row.counted for row in found.rows] == [True] * 11 + [False] * 5
    assert [row.round for row in found.rows] == [0] * 8 + [1] * 8
    late = found.rows[12]
    assert late.exact_match and late.answer == "Ms Lund" and not late.counted
    with ledger.reading() as connection:
        counts = connection.execute("SELECT * FROM search_counts WHERE ending = 'right'").fetchall()
    assert [(c["asked"], c["counted"], c["correct"]) for c in counts] == [(16, 11, 1)]


def test_the_order_is_seeded_without_replacement_and_the_same_for_every_state(ledger):
    orders = {}
    for weights, seed in (("w1", 1), ("w2", 1), ("w1", 2), ("w1", 1)):
        found = run(ledger, subject_of(knows(), weights=weights), plan_of(size=7), seed)
        assert found.ending == "exhausted"
        order = tuple(row.number for row in found.rows)
        assert sorted(order) == list(range(100))
        orders[weights, seed, found.search.draw] = order
    assert orders["w1", 1, 0] == orders["w2", 1, 0]
    assert len(set(orders.values())) == 3, "another seed and a second asking are other orders"
    assert ("w1", 1, 1) in orders


def test_a_number_of_questions_counts_them_all(ledger):
    rounds = []
    found = run(
        ledger, subject_of(knows(*range(50))), plan_of("questions", 30, 8), on_round=rounds.append
    )
    assert found.ending == "done" and found.counted == len(found.rows) == 30
    assert found.right == sum(row.number < 50 for row in found.rows) > 0
    assert [len(asked.rows) for asked in rounds] == [8, 8, 8, 6]


def test_a_number_of_questions_ends_with_its_order(ledger):
    subject = subject_of(knows(), total=467)
    searches = [run(ledger, subject, plan_of("questions", 300, 256)) for _ in range(3)]
    assert [len(found.rows) for found in searches] == [300, 167, 300]
    assert [found.ending for found in searches] == ["done", "exhausted", "done"]
    assert [(s.search.draw, s.search.first) for s in searches] == [(0, 0), (0, 300), (1, 0)]
    asked = [row.number for found in searches[:2] for row in found.rows]
    assert sorted(asked) == list(range(467))


def test_each_round_is_in_the_ledger_before_the_next_starts(ledger):
    seen = []

    def count(asked):
        with Ledger(ledger.path, read_only=True) as other, other.reading() as connection:
            seen.append(connection.execute("SELECT count(*) FROM asked").fetchone()[0])

    run(ledger, subject_of(knows()), plan_of("questions", 24), on_round=count)
    assert seen == [8, 16, 24]


def test_a_row_has_all_that_was_asked_and_answered(ledger):
    found = run(ledger, subject_of(knows(3)), plan_of("questions", 100, 100))
    row = next(row for row in found.rows if row.number == 3)
    assert (row.id, row.kind, row.golds) == ("q3", "who", ("Ms Lund",))
    assert (row.answer, row.exact_match, row.f1, row.first_gold) == ("Ms Lund", True, 1.0, True)
    assert (row.char_start, row.char_end, row.score, row.probability) == (0, 7, 1.0, 0.5)
    assert row.status == "answered" and row.seconds is not None and row.seconds >= 0
    with ledger.reading() as connection:
        stored = connection.execute(
            "SELECT * FROM asked_questions WHERE question_index = 3"
        ).fetchone()
    assert (stored["run"], stored["run_id"], stored["step"]) == ("study/run", "run1", 50)
    assert (stored["weights"], stored["fingerprint"], stored["split"]) == ("w1", "f1", "validation")
    assert stored["golds"] == '["Ms Lund"]' and stored["question"] == "Who teaches? 3"
    assert (stored["answer"], stored["exact_match"], stored["place"]) == ("Ms Lund", 1, row.place)


def test_the_first_gold_answer_is_compared_ignoring_case(ledger):
    row = Question("q0", "t", "MS LUND", "Who?", (Gold("MS LUND", 0), Gold("LUND", 3)), "who")
    answers = {
        "ms lund": (True, True),  # right by both
        "the lund": (True, False),  # an article less equals the second gold: right by SQuAD's alone
    }
    for text, expected in answers.items():
        answer = Answer("q0", text, 1.0, 0, 1, 0.0, (Candidate(text, 0, 1, 1.0, 1.0),))
        source = Source("x", "file", text, 1)
        subject = asked_of(
            State("r", "s/r", 1, "w", None),
            source,
            [row],
            [0],
            lambda rows, a=answer: rows_of(rows, [a], "v1.1"),
        )
        (asked,) = run(ledger, subject, plan_of("questions", 1)).rows
        assert (asked.exact_match, asked.first_gold) == expected


def test_a_question_that_crashes_the_model_fails_alone_and_is_not_wrong(ledger):
    def crashes(rows):
        if any(row.id == "q7" for row in rows):
            raise RuntimeError("index out of range\nmore")
        return knows(*range(50))(rows)

    found = run(ledger, subject_of(crashes), plan_of("questions", 100, 32))
    failed = [row for row in found.rows if row.status == "failed"]
    assert [(row.number, row.reason) for row in failed] == [(7, "RuntimeError: index out of range")]
    assert found.counted == 99 and found.right == 49 and failed[0].exact_match is None
    with ledger.reading() as connection:
        (counts,) = connection.execute("SELECT * FROM state_counts").fetchall()
    assert (counts["asked"], counts["counted"], counts["correct"], counts["failed"]) == (
        100,
        99,
        49,
        1,
    )


def test_scores_that_are_not_finite_are_a_failure():
    row = make_questions(1)[0]
    for score in (math.nan, math.inf):
        assert answer_each(lambda rows, s=score: [given(row, "chess", s)], [row]) == [
            "its scores are not finite numbers"
        ]


def test_a_model_that_always_crashes_is_given_up(ledger):
    def crashes(rows):
        raise ValueError("no")

    found = run(ledger, subject_of(crashes), plan_of(size=4))
    assert found.ending == "failed" and len(found.rows) == 8 and found.counted == 0


def test_a_keyboard_interrupt_is_not_a_failure_of_the_model():
    def interrupted(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_each(interrupted, make_questions(2))


def test_limits_and_signals_end_a_search_after_a_complete_round(ledger):
    endings = {
        "bound": run(ledger, subject_of(knows()), plan_of(most=20)),
        "stopped": run(ledger, subject_of(knows()), plan_of(), should_stop=lambda: True),
    }
    assert {name: found.ending for name, found in endings.items()} == {n: n for n in endings}
    assert len(endings["bound"].rows) == 20 and len(endings["stopped"].rows) == 8
    late = run(ledger, subject_of(knows()), plan_of(deadline=time.monotonic() - 1))
    assert late.ending == "bound" and len(late.rows) == 8


def test_a_right_answer_in_the_last_round_wins_over_the_bound(ledger):
    found = run(ledger, subject_of(knows(*range(100))), plan_of(most=1), should_stop=lambda: True)
    assert found.ending == "right" and found.counted == 1


def test_a_width_is_reached_together_with_what_was_known(ledger):
    plan = plan_of("width", 100, 10, width=0.30)
    alone = run(ledger, subject_of(knows(*range(50))), plan)
    assert alone.ending == "done" and alone.counted < 60
    helped = run(
        ledger,
        subject_of(knows(*range(50)), weights="w2"),
        plan_of("width", 100, 10, width=0.3, known=dict.fromkeys(range(1000, 1040), True)),
    )
    assert helped.ending == "done" and helped.counted < alone.counted
    never = run(
        ledger, subject_of(knows(*range(50)), weights="w3"), plan_of("width", 100, 10, width=0.01)
    )
    assert never.ending == "exhausted" and never.counted == 100


def test_an_empty_split_is_refused(ledger):
    with pytest.raises(ValueError, match="the split validation of builtin is empty"):
        run(ledger, subject_of(knows(), total=0), plan_of())


def test_a_crash_between_rounds_leaves_complete_rounds_and_an_order_to_continue(ledger):
    calls = itertools.count()

    def dies(asked):
        if next(calls) == 1:
            raise SystemExit(9)

    with pytest.raises(SystemExit):
        run(ledger, subject_of(knows()), plan_of(), on_round=dies)
    subject = subject_of(knows())
    started = start_search(ledger, subject.state, subject.source, 1, "right")
    assert (started.draw, started.first) == (0, 16)
    with ledger.reading() as connection:
        counts = connection.execute("SELECT * FROM search_counts").fetchone()
    assert (counts["asked"], counts["counted"], counts["ending"]) == (16, 16, "stopped")
