import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_research.efficacy.standings import standings
from qa_research.ledger.old_lab.importing import import_old_lab
from qa_research.ledger.runs import Ledger
from tests.ledger.old_lab.databases import (
    CUSTOM,
    LATER,
    PRETRAINED,
    RANDOM,
    as_text,
    index_list,
    rows,
    write_old_lab,
)


def test_indices_belong_to_the_latest_searches_of_their_length(place, ledger_path):
    path = write_old_lab(
        place,
        [(RANDOM, 4, 18, "3,6,3,6")],
        [("1", "3", as_text(index_list(3))), (1, 6, as_text(index_list(6, 2000)))],
    )
    import_old_lab(path, ledger_path)
    asked = rows(
        ledger_path,
        "SELECT draw, place, round, number, status, counted FROM asked JOIN searches "
        "ON searches.id = search_id ORDER BY draw, place",
    )
    assert asked[:3] == [(2, i, 0, 1000 + i, "not kept", 0) for i in range(3)]
    assert asked[3:] == [(3, i, i // 3, 2000 + i, "not kept", 0) for i in range(6)]
    assert rows(ledger_path, "SELECT number, id, golds FROM questions LIMIT 1") == [
        (1000, None, None)
    ]
    with Ledger(ledger_path, read_only=True) as ledger:
        (standing,) = standings(ledger)
    assert standing.asked == 9 and standing.repeats == 0 and standing.expected_repeats > 0


def test_a_crash_is_subtracted_and_its_questions_are_lost(place, ledger_path):
    # Three rounds: 1000, 1001, 1002; 5 and then 6, which crashed; 2000, 2001, 2002.
    crashed = f"{as_text(index_list(3))},5,6,,{as_text(index_list(3, 2000))}"
    path = write_old_lab(place, [(RANDOM, 2, 12, "9,3")], [(1, "9", crashed)])
    imported = import_old_lab(path, ledger_path)
    (state,) = imported.states
    assert (state.right, state.asked) == (2, 9)
    assert [(c.right, c.asked) for c in state.corrections] == [(0, -3)]
    asked = rows(ledger_path, "SELECT place, round, number, status, counted, reason FROM asked")
    assert [row[:5] for row in asked[3:6]] == [
        (3, 1, 5, "not kept", 0),
        (4, 1, 6, "failed", 0),
        (5, 2, 2000, "not kept", 0),
    ]
    assert "crashed on this question" in asked[4][5]
    with Ledger(ledger_path, read_only=True) as ledger:
        (standing,) = standings(ledger)
    assert standing.failed == 1 and standing.asked == 8 and standing.ratio.asked == 9


def test_a_round_that_left_no_index_is_one_failure_without_a_number(place, ledger_path):
    path = write_old_lab(place, [(RANDOM, 1, 6, "6")], [(1, 6, ",1,2,3")])
    (state,) = import_old_lab(path, ledger_path).states
    assert (state.right, state.asked) == (1, 3)
    failed = rows(ledger_path, "SELECT place, number, reason FROM asked WHERE status = 'failed'")
    assert failed[0][:2] == (0, None) and "did not keep which" in failed[0][2] and len(failed) == 1


def test_a_replay_does_not_count_and_the_search_it_repeats_does(place, ledger_path):
    final = [23581, 21533, 46079]
    path = write_old_lab(
        place,
        [(LATER, 5, 18, "6,3,3,3,3")],
        [
            (1, 6, as_text([*index_list(3), *final])),
            (1, 3, as_text(final)),
            (1, 3, as_text(index_list(3, 500))),
            (1, 3, as_text(final)),
        ],
    )
    imported = import_old_lab(path, ledger_path)
    (state,) = imported.states
    assert (state.right, state.asked) == (3, 12)
    assert [(c.right, c.asked) for c in state.corrections] == [(-2, -6)]
    assert "row 2 as row 1, row 4 as row 1" in state.corrections[0].why
    assert [n for (n,) in rows(ledger_path, "SELECT told_counted FROM searches")] == [6, 3, 3]
    assert rows(ledger_path, "SELECT count(*) FROM asked") == [(9,)]


def test_a_replay_that_was_not_counted_takes_no_other_search_away(place, ledger_path):
    path = write_old_lab(
        place,
        [(LATER, 2, 9, "6,3")],
        [(1, 3, as_text(index_list(3))), (1, 3, as_text(index_list(3)))],
    )
    (state,) = import_old_lab(path, ledger_path).states
    assert (state.right, state.asked, state.corrections) == (2, 9, ())
    assert "row 2 of sample_indices, which repeats row 1, was skipped" in state.notes
    assert rows(ledger_path, "SELECT count(*) FROM asked") == [(3,)]


def test_a_round_that_two_states_share_is_noted_and_counts(place, ledger_path):
    shared = [23581, 21533, 46079]
    path = write_old_lab(
        place,
        [(RANDOM, 1, 6, "6"), (LATER, 1, 6, "6"), (PRETRAINED, 1, 3, "3")],
        [(1, 6, as_text([*index_list(3), *shared])), (2, 6, as_text([*index_list(3, 50), *shared])),
         (3, 3, as_text(shared[::-1]))],
    )  # fmt: skip
    imported = import_old_lab(path, ledger_path)
    assert [(state.right, state.asked) for state in imported.states] == [(1, 6), (1, 6), (1, 3)]
    (note,) = imported.general
    assert (
        "23581, 21533, 46079" in note and "(rows 1, 2): probably a replay, but they count" in note
    )


def test_with_ten_questions_repeats_may_be_chance_and_everything_counts(place, ledger_path):
    path = write_old_lab(
        place,
        [(CUSTOM, 3, 9, "3,3,3")],
        [(1, 3, "1,2,9"), (1, 3, "1,2,9"), (1, 3, "4,5,6")],
    )
    (state,) = import_old_lab(path, ledger_path).states
    assert (state.right, state.asked, state.corrections) == (3, 9, ())
    assert any(
        "row 2 of sample_indices repeats row 1, which may be chance" in n for n in state.notes
    )
    assert rows(ledger_path, "SELECT name, questions FROM sources") == [("data.json", None)]


@pytest.mark.parametrize(
    ("right", "asked", "seq", "listed", "kept"),
    [
        (3, 18, "6,12", [], (3, 18)),  # two right in one round
        (6, 18, "6,12", [], (6, 18)),  # three right in both
        (7, 18, "6,12", [], (2, 18)),  # more than two rounds of three have
        (3, 2, "1,1", [], (2, 2)),  # one at a time
        (2, 20, "6,12", [], (2, 18)),
        (1, 18, "6,12", [], (2, 18)),  # a lost update of the sums
        (3, 30, "6,12", [], (3, 30)),  # begun before there was a sample_seq
        (3, 30, "6,,12,", [], (3, 30)),
        (5, 30, None, [], (5, 30)),
        (0, 30, None, [], (0, 30)),
        (9, 3, None, [], (0, 0)),  # more right than asked
        (0, 0, None, [], (0, 0)),
        (2, 9, None, [6, 3], (2, 9)),
        (1, 9, None, [6, 3], (2, 9)),
        (3, 9, None, [6, 3], (3, 9)),
        (3, 30, "6,12", [9], (3, 27)),  # of a search that the sums know alone
        (2, 18, "6,12", [9], (2, 18)),
    ],
)
def test_where_the_sums_contradict_the_searches_the_searches_win(
    place, ledger_path, right, asked, seq, listed, kept
):
    indices = [(1, n, as_text(index_list(n, 100 * (i + 1)))) for i, n in enumerate(listed)]
    path = write_old_lab(place, [(RANDOM, right, asked, seq)], indices)
    (state,) = import_old_lab(path, ledger_path).states
    assert (state.right, state.asked) == kept
    contradicts = [c for c in state.corrections if "contradict" in c.why]
    assert bool(contradicts) == (kept != (right, asked))


@pytest.mark.parametrize(
    ("right", "kept", "is_certain"), [(5, 3, True), (6, 4, True), (8, 6, False)]
)
def test_replays_take_one_right_answer_each_and_it_is_said_if_that_may_be_too_few(
    place, ledger_path, right, kept, is_certain
):
    # Five searches, of which two replay the last round of the first. Had that round had two right answers,
    # its replays would have had them, too: 8 right, and not 6.
    final = [7, 8, 9]
    path = write_old_lab(
        place,
        [(LATER, right, 18, "6,3,3,3,3")],
        [(1, 6, as_text([*index_list(3), *final])), (1, 3, as_text(final)), (1, 3, as_text(final)),
         (1, 3, as_text(index_list(3, 50))), (1, 3, as_text(index_list(3, 60)))],
    )  # fmt: skip
    (state,) = import_old_lab(path, ledger_path).states
    assert (state.right, state.asked) == (kept, 12)
    assert any("may be of replays" in note for note in state.notes) != is_certain
    assert [c.right for c in state.corrections] == [-2]


@st.composite
def old_states(draw):
    """A state with sums that may be wrong, lists of indices with crashes, and replays."""
    lengths = draw(st.lists(st.integers(1, 4).map(lambda n: 3 * n), max_size=6))
    listed = []
    for length in draw(st.permutations(lengths))[: draw(st.integers(0, len(lengths)))]:
        # Of four starts the same list comes back: a replay.
        known = index_list(length, 10_000 * draw(st.integers(1, 4)))
        words = list(map(str, known))
        if length > 3 and draw(st.booleans()):
            place = 3 * draw(st.integers(0, length // 3 - 1))
            words[place + draw(st.integers(0, 2)) : place + 3] = [""]
        listed.append((length, ",".join(words)))
    wrong = st.sampled_from([-3, -1, 0, 0, 0, 1, 3, 12])
    right = max(0, len(lengths) + draw(wrong))
    asked = max(0, sum(lengths) + draw(wrong))
    as_stored = draw(st.sampled_from([str, int]))
    seq = ",".join(map(str, lengths)) if draw(st.booleans()) else None
    return as_stored(right), as_stored(asked), seq, listed


@settings(max_examples=60, deadline=None)
@given(st.lists(old_states(), min_size=1, max_size=3))
def test_what_is_kept_is_what_was_stored_plus_the_corrections(states):
    with tempfile.TemporaryDirectory() as folder:
        names = [f"Bert-NoPretrain-{i}-squad" for i in range(len(states))]
        path = write_old_lab(
            Path(folder) / "stack_trace.db",
            [(name, *state[:3]) for name, state in zip(names, states, strict=True)],
            [(i + 1, *row) for i, state in enumerate(states) for row in state[3]],
        )
        imported = import_old_lab(path, Path(folder) / "ledger.sqlite")
        for kept, (right, asked, *_) in zip(imported.states, states, strict=True):
            assert kept.right == int(right) + sum(c.right for c in kept.corrections)
            assert kept.asked == int(asked) + sum(c.asked for c in kept.corrections)
            assert all(s.asked >= s.right >= 0 for s in kept.searches if not s.is_sum)
        with Ledger(Path(folder) / "ledger.sqlite") as ledger, ledger.reading() as connection:
            counted = connection.execute(
                "SELECT run, coalesce(sum(counted), 0) AS asked, coalesce(sum(correct), 0) AS right "
                "FROM states LEFT JOIN state_counts ON state_id = states.id GROUP BY states.id"
            ).fetchall()
            assert not connection.execute("PRAGMA foreign_key_check").fetchall()
        kept = [(state.state.name, state.asked, state.right) for state in imported.states]
        assert [tuple(row) for row in counted] == kept
