import json

import pytest

from qa_research.efficacy.standings import Repeat, repeated, standings
from qa_research.ledger.asked import Source, start_search, write_round
from qa_research.stats import Needed, exact_ratio
from tests.ledger.asking import SOURCE, failed_row, row_of, state_of, write_search


def letters(asked):
    """`-+-` as whether each answer was right."""
    return [letter == "+" for letter in asked]


def test_without_asked_questions_the_error_says_how_to_ask(ledger):
    with pytest.raises(
        FileNotFoundError, match="no questions have been asked yet .* qa-research efficacy RUN"
    ):
        standings(ledger)


def test_searches_are_pooled_and_unbiased_only_if_every_one_found_an_answer(ledger):
    # Rounds of four: - + - + | - - - - | - - + -. Two searches in three rounds with 3 right answers.
    for asked in ("-+-+", "------+-"):
        write_search(ledger, letters(asked), state_of(), round_size=4)
    (standing,) = standings(ledger)
    assert standing.ratio == exact_ratio(2, 2 + 7)
    assert standing.unbiased == pytest.approx(1 / 2 * 3 / 2 / 4)
    write_search(ledger, [False] * 4, state_of())  # ended by a bound
    (standing,) = standings(ledger)
    assert standing.ratio == exact_ratio(2, 2 + 7 + 4) and standing.unbiased is None
    assert standing.observed == Needed(7, 7)
    assert [(s.counted, s.ending) for s in standing.searches] == [
        *((2, "right"), (7, "right"), (4, "bound"))
    ]


def test_the_unbiased_ratio_joins_what_was_stopped_and_averages_orders(ledger):
    # Seed 1: two searches of 2 questions. Seed 2: 4 (stopped after two, and continued), 1 and 7 questions.
    for asked in ("-+", "-+"):
        write_search(ledger, letters(asked), state_of(), round_size=1)
    write_search(ledger, letters("--"), state_of(), seed=2, ending="stopped", round_size=1)
    (standing,) = standings(ledger)
    assert standing.unbiased is None
    for asked in ("-+", "+", "------+"):
        write_search(ledger, letters(asked), state_of(), seed=2, round_size=1)
    (standing,) = standings(ledger)
    assert standing.unbiased == pytest.approx((1 / 3 + 2 * 2 / 11) / 3)


def test_a_number_of_questions_between_two_searches_begins_a_new_stretch(ledger):
    for asked, goal in (
        ("-+", "right"),
        ("-+", "right"),
        ("+-+", "questions"),
        ("--+", "right"),
        ("+", "right"),
    ):
        write_search(ledger, letters(asked), state_of(), goal=goal, round_size=1)
    (standing,) = standings(ledger)
    assert standing.unbiased == pytest.approx((1 / 3 + 1 / 3) / 2)


def test_rounds_that_a_limit_cut_short_or_with_failures_have_no_unbiased_ratio(ledger):
    for asked in ("----+-", "-+--"):
        write_search(ledger, letters(asked), state_of(), round_size=4)
    assert standings(ledger)[0].unbiased is None
    other = state_of(run="r2")
    for number in (0, 4):
        search = start_search(ledger, other, SOURCE, 1, "right")
        rows = [row_of(0, False, number=number), failed_row(1), row_of(2, True, number=number + 2)]
        write_round(ledger, search, rows, "right")
    assert standings(ledger, "r2")[0].unbiased is None


def test_a_search_that_was_killed_counts_as_bounded(ledger):
    write_search(ledger, [False] * 4, state_of(), ending=None)
    write_search(ledger, [True], state_of(), first_number=4)
    (standing,) = standings(ledger)
    assert standing.ratio == exact_ratio(1, 5) and standing.unbiased is None


def test_states_and_sources_are_separate_and_in_order_of_steps(ledger):
    other = Source("dev.json", "file", "f2", 7)
    write_search(ledger, [True], state_of(100))
    write_search(ledger, [True, False], state_of(50), goal="questions")
    write_search(ledger, [False], state_of(50), other, goal="questions")
    write_search(ledger, [True], state_of(50, "r2", pretrained=True))
    found = standings(ledger)
    assert [(s.state.run_id, s.state.step, s.source.name) for s in found] == [
        *(("r1", 50, "builtin"), ("r1", 50, "dev.json"), ("r1", 100, "builtin")),
        ("r2", 50, "builtin"),
    ]
    assert [s.state.pretrained for s in found] == [False, False, False, True]
    assert found == standings(ledger, "r1") + standings(ledger, "r2")
    assert standings(ledger, "unknown") == []


def test_failed_questions_are_neither_right_nor_wrong(ledger):
    search = start_search(ledger, state_of(), SOURCE, 1, "questions")
    write_round(
        ledger, search, [row_of(0, True), failed_row(1), row_of(2, False), failed_row(3)], None
    )
    (standing,) = standings(ledger)
    assert standing.ratio == exact_ratio(1, 2) and (standing.asked, standing.failed) == (4, 2)
    assert not standing.is_whole


def test_a_state_that_only_failed_has_no_ratio(ledger):
    search = start_search(ledger, state_of(), SOURCE, 1, "right")
    write_round(ledger, search, [failed_row(0)], None)
    (standing,) = standings(ledger)
    assert standing.ratio is None and standing.first_gold is None and standing.unbiased is None
    assert standing.needed == Needed(None, None) and standing.kinds == {}


def test_kinds_and_the_first_gold_rule_have_their_own_ratios(ledger):
    search = start_search(ledger, state_of(), SOURCE, 1, "questions")
    rows = [row_of(i, True, first_gold=i == 0) for i in range(4)] + [row_of(4, False)]
    write_round(ledger, search, rows, None)
    (standing,) = standings(ledger)
    assert standing.first_gold == exact_ratio(1, 5)
    assert standing.kinds == {"lookup": exact_ratio(2, 3), "match": exact_ratio(2, 2)}
    assert list(standing.kinds) == ["lookup", "match"] and standing.mean_f1 == pytest.approx(0.8)


def test_a_question_counts_once_and_a_whole_split_is_exact(ledger):
    ten = Source("ten", "file", "f10", 10)
    write_search(ledger, [False, False, True, True], state_of(), ten)  # three of four count
    write_search(ledger, [True] + [False] * 3, state_of(), ten, goal="questions", seed=2)
    (standing,) = standings(ledger)
    # Models answer alike when asked again; where rounding decides otherwise, once right is right.
    assert standing.ratio == exact_ratio(3, 4) and standing.asked == 8 and not standing.is_whole
    write_search(ledger, [False] * 6, state_of(), ten, goal="questions", seed=3, first_number=4)
    (standing,) = standings(ledger)
    assert standing.is_whole and standing.ratio is not None and standing.unbiased is None
    assert (standing.ratio.right, standing.ratio.asked, standing.ratio.width) == (3, 10, 0)
    assert {ratio.width for ratio in standing.kinds.values()} == {0}


def test_answerable_and_unanswerable_questions_are_kinds_if_there_are_both(ledger):
    search = start_search(ledger, state_of(), SOURCE, 1, "questions")
    rows = [row_of(0, True), row_of(1, True, golds=()), row_of(2, False, golds=())]
    write_round(ledger, search, rows, "done")
    (standing,) = standings(ledger)
    assert standing.kinds["answerable"] == exact_ratio(1, 1)
    assert standing.kinds["unanswerable"] == exact_ratio(1, 2)
    assert standing.kinds["lookup"] == exact_ratio(1, 2)


def test_repeats_are_counted_next_to_those_expected_by_chance(ledger):
    small = Source("ten", "file", "f10", 10)
    write_search(ledger, [False] * 10, state_of(), small, goal="questions")
    (standing,) = standings(ledger)
    assert standing.repeats == 0 and standing.expected_repeats == 0 and standing.is_whole
    write_search(ledger, [False] * 4, state_of(), small, goal="questions", seed=2)
    (standing,) = standings(ledger)
    assert standing.repeats == 4 and standing.expected_repeats == pytest.approx(4)
    assert standing.is_whole


def test_json_has_percent_and_null_where_nothing_was_answered(ledger):
    write_search(ledger, [True, False, False, False], state_of(50), goal="questions")
    plain = json.loads(json.dumps(standings(ledger)[0].as_json()))
    assert plain["ratio"] == {
        "right": 1,
        "asked": 4,
        "percent": 25,
        "percent_95": pytest.approx([0.631, 80.588], abs=1e-3),
    }
    assert plain["unbiased_percent"] is None and plain["is_imported"] is False
    assert plain["state"]["step"] == 50 and plain["kinds"]["lookup"]["right"] == 1


def test_repeats_are_listed_most_often_first_and_only_within_one_state(ledger):
    for numbers in (range(4), range(2, 6), range(3, 4)):
        write_search(
            ledger, [False] * len(numbers), state_of(50), goal="questions", first_number=numbers[0]
        )
    write_search(ledger, [False] * 9, state_of(100), goal="questions")
    first, second = repeated(ledger)
    assert [(r.index, r.id, r.times) for r in first.questions] == [(3, "q3", 3), (2, "q2", 2)]
    assert first.questions[0] == Repeat(3, "q3", "Who?", 3)
    assert first.standing.repeats == 3 and second.questions == ()


def test_without_asked_questions_there_are_no_repeats(ledger):
    with pytest.raises(FileNotFoundError, match="no questions have been asked yet"):
        repeated(ledger)
