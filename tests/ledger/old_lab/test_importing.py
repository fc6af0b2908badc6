import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from qa_research.cli.ledger import ledger_app
from qa_research.efficacy.standings import standings
from qa_research.ledger.old_lab.importing import import_reference
from qa_research.ledger.old_lab.read import read_reference, read_tried
from qa_research.ledger.runs import Ledger
from tests.fake_runs import without_rights

PRETRAINED = "BertForQuestionAnswering-1026-squad"
RANDOM = "BertForQuestionAnswering-NoPretrain-1126-squad"
LATER = "BertForQuestionAnswering-NoPretrain-3188-squad"
CUSTOM = "BertForQuestionAnswering-20-data.json"
# 15 searches of 1,584 questions, and 17 of 51.
LONG = [216, 60, 27, 354, 69, 162, 33, 150, 156, 60, 51, 90, 81, 42, 33]
SHORT = [3] * 17


def ids(count: int, first: int = 1000) -> list[int]:
    """Indices that nothing else has, if `first` is far enough away."""
    return list(range(first, first + count))


def text(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))


def write_reference(path: Path, states: list[tuple], tried: list[tuple] = ()) -> Path:
    """A stack_trace.db: `states` without id, `tried` as (id of the state, length, indices)."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE model_efficacy "
        "(id INTEGER PRIMARY KEY, model_type_state, correct_num, sample_num, sample_seq)"
    )
    connection.execute(
        "CREATE TABLE sample_indices (id INTEGER PRIMARY KEY, model_efficacy_id, seq_num, seq_ids)"
    )
    connection.execute("CREATE TABLE forward (id INTEGER PRIMARY KEY, file, line)")
    connection.executemany(
        "INSERT INTO model_efficacy (model_type_state, correct_num, sample_num, sample_seq) "
        "VALUES (?, ?, ?, ?)",
        states,
    )
    connection.executemany(
        "INSERT INTO sample_indices (model_efficacy_id, seq_num, seq_ids) VALUES (?, ?, ?)", tried
    )
    connection.commit()
    connection.close()
    return path


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "stack_trace.db"


@pytest.fixture
def ledger_path(tmp_path) -> Path:
    return tmp_path / "runs" / "ledger.sqlite"


def rows(ledger_path: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(ledger_path)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def read(path: Path) -> str:
    """For a process without rights."""
    return read_reference(path).sha256


def test_what_the_reference_counted_stands_in_the_standings(place, ledger_path):
    states = [(PRETRAINED, "17", 51, text(SHORT)), (RANDOM, 15, 1584, text(LONG))]
    import_reference(write_reference(place, states), ledger_path)
    with Ledger(ledger_path, read_only=True) as ledger:
        pretrained, random = standings(ledger)
    assert (pretrained.ratio.right, pretrained.ratio.asked) == (17, 51)
    assert (random.ratio.right, random.ratio.asked) == (15, 1584)
    assert pretrained.unbiased == 16 / 50 and random.unbiased == 14 / 1583
    assert (pretrained.state.step, pretrained.state.pretrained) == (1026, True)
    assert (random.state.step, random.state.pretrained) == (1126, False)
    assert pretrained.is_imported and pretrained.state.run_id is None
    assert (pretrained.source.name, pretrained.source.split) == ("squad", "train")
    assert pretrained.source.questions == 87_599 and pretrained.source.fingerprint is None
    assert len(rows(ledger_path, "SELECT * FROM sources")) == 1
    assert random.observed.median == 69
    # Nothing is known of single answers.
    assert random.asked == 0 and random.first_gold is None and random.mean_f1 is None


def test_the_tables_of_the_published_database_give_its_own_sums(place, ledger_path):
    """As its README shows them; where sample_seq was begun later the sums know more than it."""
    states = [
        (PRETRAINED, 17, 51, "3,3,6"),
        ("BertForQuestionAnswering-1026-data.json", 7, 7, ""),
        ("BertForQuestionAnswering-1126-data.json", 1, 1, None),
        (RANDOM, 15, 1584, text(LONG[:9])),
        ("BertForQuestionAnswering-10-data.json", 3, 3, "1,1,1"),
        (LATER, 13, 354, "81,6,18,63,3,48,57,9,3,3,27,36"),
    ]
    imported = import_reference(write_reference(place, states), ledger_path)
    kept = [(state.right, state.asked) for state in imported.states]
    # The last had two right answers in a round: twelve searches, which each count once.
    assert kept == [(17, 51), (7, 7), (1, 1), (15, 1584), (3, 3), (12, 354)]
    assert "14 of 39 are known only as a sum" in " ".join(imported.states[0].sentences)
    assert "12 of 354 questions (-1 right, +0 asked)" in " ".join(imported.states[5].sentences)
    with Ledger(ledger_path, read_only=True) as ledger:
        found = {standing.state.run: standing for standing in standings(ledger)}
    assert (found[PRETRAINED].ratio.right, found[PRETRAINED].ratio.asked) == (17, 51)
    # The sum of searches is no search's length.
    assert found[PRETRAINED].unbiased == 2 / 11 and found[PRETRAINED].observed.median == 3
    assert found["BertForQuestionAnswering-1126-data.json"].searches[0].ending == "right"
    assert [state.bounds for state in imported.states][:2] == [(1 / 3, 1.0), (1.0, 1.0)]
    assert imported.states[3].bounds == (15 / 1584, 15 / 1554)


def test_indices_belong_to_the_latest_searches_of_their_length(place, ledger_path):
    path = write_reference(
        place,
        [(RANDOM, 4, 18, "3,6,3,6")],
        [("1", "3", text(ids(3))), (1, 6, text(ids(6, 2000)))],
    )
    import_reference(path, ledger_path)
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


def test_a_crash_is_taken_off_and_its_questions_are_lost(place, ledger_path):
    crashed = f"{text(ids(3))},,{text(ids(3, 2000))}"
    path = write_reference(place, [(RANDOM, 2, 12, "9,3")], [(1, "9", crashed)])
    imported = import_reference(path, ledger_path)
    (state,) = imported.states
    assert (state.right, state.asked) == (2, 9)
    assert [(c.right, c.asked) for c in state.corrections] == [(0, -3)]
    lost = rows(
        ledger_path,
        "SELECT place, round, number, counted, reason FROM asked WHERE status = 'failed'",
    )
    assert [row[:4] for row in lost] == [(place, 1, None, 0) for place in (3, 4, 5)]
    assert "crashed" in lost[0][4]
    with Ledger(ledger_path, read_only=True) as ledger:
        (standing,) = standings(ledger)
    assert standing.failed == 3 and standing.ratio.asked == 9


@pytest.mark.parametrize(
    ("number", "words", "crashes", "slots", "notes"),
    [
        (6, ",1,2,3", 1, [None, None, None, 1, 2, 3], 0),
        (6, "1,2,3,", 1, [1, 2, 3, None, None, None], 0),
        (3, "1,2,3,", 0, [1, 2, 3], 1),
        (3, "1,,2,3", 0, [1, 2, 3], 1),
        (9, ",1,2,3,,4,5,6", 1, [1, 2, 3, None, None, None, 4, 5, 6], 1),
        (9, "1,2,3,,,4,5,6", 1, [1, 2, 3, None, None, None, 4, 5, 6], 1),
        (9, "1,2,3,,", 2, [1, 2, 3] + [None] * 6, 0),
        (9, "1,2,3", 0, [1, 2, 3], 1),
        (7, "1,2,3,,4,5", 0, [1, 2, 3, 4, 5], 1),
        (3, "1,2,3,4,5,6", 0, [1, 2, 3, 4, 5, 6], 1),
        ("3", " 1, 2 ,3", 0, [1, 2, 3], 0),
        (3, None, 0, [], 0),
        (3, ",,", 0, [], 0),
        (1, 7, 0, [7], 0),
        (1, 0, 0, [0], 0),
    ],
)  # fmt: skip
def test_empty_places_between_commas_are_crashes_as_far_as_the_length_says_so(
    number, words, crashes, slots, notes
):
    said: list[str] = []
    tried = read_tried(5, number, words, said)
    assert (tried.crashes, list(tried.slots), len(said)) == (crashes, slots, notes)
    assert all("row 5 of sample_indices" in note for note in said)


def test_a_replay_is_left_out_and_the_search_it_repeats_stays(place, ledger_path):
    final = [23581, 21533, 46079]
    path = write_reference(
        place,
        [(LATER, 5, 18, "6,3,3,3,3")],
        [(1, 6, text([*ids(3), *final])), (1, 3, text(final)), (1, 3, text(ids(3, 500))),
         (1, 3, text(final))],
    )  # fmt: skip
    imported = import_reference(path, ledger_path)
    (state,) = imported.states
    assert (state.right, state.asked) == (3, 12)
    assert [(c.right, c.asked) for c in state.corrections] == [(-2, -6)]
    assert "row 2 as row 1, row 4 as row 1" in state.corrections[0].why
    assert [n for (n,) in rows(ledger_path, "SELECT told_counted FROM searches")] == [6, 3, 3]
    assert rows(ledger_path, "SELECT count(*) FROM asked") == [(9,)]


def test_a_replay_that_was_not_counted_takes_no_other_search_away(place, ledger_path):
    path = write_reference(
        place, [(LATER, 2, 9, "6,3")], [(1, 3, text(ids(3))), (1, 3, text(ids(3)))]
    )
    (state,) = import_reference(path, ledger_path).states
    assert (state.right, state.asked, state.corrections) == (2, 9, ())
    assert "row 2 of sample_indices, which repeats row 1, was left out" in state.notes
    assert rows(ledger_path, "SELECT count(*) FROM asked") == [(3,)]


def test_a_round_that_two_states_share_is_told_and_counts(place, ledger_path):
    shared = [23581, 21533, 46079]
    path = write_reference(
        place,
        [(RANDOM, 1, 6, "6"), (LATER, 1, 6, "6"), (PRETRAINED, 1, 3, "3")],
        [(1, 6, text([*ids(3), *shared])), (2, 6, text([*ids(3, 50), *shared])),
         (3, 3, text(shared[::-1]))],
    )  # fmt: skip
    imported = import_reference(path, ledger_path)
    assert [(state.right, state.asked) for state in imported.states] == [(1, 6), (1, 6), (1, 3)]
    (note,) = imported.general
    assert "23581, 21533, 46079" in note and "(rows 1, 2): likely a replay, and counted" in note


def test_of_ten_questions_chance_repeats_three_and_nothing_is_left_out(place, ledger_path):
    path = write_reference(
        place,
        [(CUSTOM, 3, 9, "3,3,3")],
        [(1, 3, "1,2,9"), (1, 3, "1,2,9"), (1, 3, "4,5,6")],
    )
    (state,) = import_reference(path, ledger_path).states
    assert (state.right, state.asked, state.corrections) == (3, 9, ())
    assert any("row 2 of sample_indices repeats row 1, as chance may" in n for n in state.notes)
    assert rows(ledger_path, "SELECT name, questions FROM sources") == [("data.json", None)]


def test_untyped_numbers_are_converted_and_told_and_what_is_none_is_left_out(place, ledger_path):
    path = write_reference(
        place,
        [
            (PRETRAINED, "15", "45", text([3] * 15)),
            (RANDOM, "many", 45, "3"),
            (LATER, 2.0, 6, 6),
            (None, 1, 3, "3"),
            ("Bert-5-squad", 2, 9, "3,six"),
            ("Bert-6-squad", -1, 9, "9"),
            ("Bert-7-squad", b"1", 9, "9"),
            ("Bert-8-squad", "9" * 40, 9, "9"),
        ],
        [("1", "3", "1,x,3"), ("one", 3, "1,2,3"), (2, 3, "1,2,3"), (1, "three", "1,2,3")],
    )
    imported = import_reference(path, ledger_path)
    kept = {state.state.name: (state.right, state.asked) for state in imported.states}
    assert kept == {PRETRAINED: (15, 45), LATER: (1, 6), "Bert-5-squad": (2, 9)}
    told = " ".join(imported.notes)
    for part in (
        "correct_num of model_efficacy stood as text in 1 row,",
        "row 2 of model_efficacy was left out", "correct_num='many'",
        "row 4 of model_efficacy", "row 6 of model_efficacy", "row 7 of", "row 8 of",
        "sample_seq has 'six', which is no search's length",
        "row 1 of sample_indices was left out, for not all of it are numbers",
        "row 2 of sample_indices", "row 4 of sample_indices",
        "1 row of sample_indices left out: there is no state with the id 2",
    ):  # fmt: skip
        assert part in told
    assert json.loads(rows(ledger_path, "SELECT notes FROM imports")[0][0]) == imported.notes


@pytest.mark.parametrize(
    ("right", "asked", "seq", "tried", "kept"),
    [
        (3, 18, "6,12", [], (2, 18)),  # two right in one round
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
        (3, 30, "6,12", [9], (3, 27)),  # of a search that the sums know alone
        (2, 18, "6,12", [9], (2, 18)),
    ],
)
def test_where_the_sums_contradict_the_searches_these_win(
    place, ledger_path, right, asked, seq, tried, kept
):
    indices = [(1, n, text(ids(n, 100 * (i + 1)))) for i, n in enumerate(tried)]
    path = write_reference(place, [(RANDOM, right, asked, seq)], indices)
    (state,) = import_reference(path, ledger_path).states
    assert (state.right, state.asked) == kept
    contradicts = [c for c in state.corrections if "contradict" in c.why]
    assert bool(contradicts) == (kept != (right, asked))


def test_an_index_beyond_squad_says_that_its_size_is_not_known(place, ledger_path):
    path = write_reference(place, [(RANDOM, 1, 3, "3")], [(1, 3, "1,2,87599")])
    imported = import_reference(path, ledger_path)
    assert any("beyond the 87,599 questions of squad" in note for note in imported.general)
    assert rows(ledger_path, "SELECT questions FROM sources") == [(None,)]


def test_a_name_that_says_nothing_is_kept_and_told(place, ledger_path):
    imported = import_reference(write_reference(place, [("my model", 1, 3, "3")]), ledger_path)
    assert "does not say step and data" in imported.notes[0]
    assert rows(ledger_path, "SELECT run, step, pretrained FROM states") == [
        ("my model", None, None)
    ]


def test_the_same_file_is_refused_and_a_later_one_stands_beside_it(place, ledger_path):
    import_reference(write_reference(place, [(RANDOM, 1, 3, "3")]), ledger_path)
    with pytest.raises(ValueError, match=r"was taken over before, as stack_trace\.db at 20"):
        import_reference(place, ledger_path)
    assert rows(ledger_path, "SELECT count(*) FROM states") == [(1,)]
    connection = sqlite3.connect(place)
    connection.execute(
        "UPDATE model_efficacy SET correct_num = 2, sample_num = 9, sample_seq = '3,6'"
    )
    connection.commit()
    connection.close()
    imported = import_reference(place, ledger_path)
    assert f"{RANDOM} was also taken over from stack_trace.db" in imported.general[0]
    with Ledger(ledger_path, read_only=True) as ledger:
        assert [s.ratio.asked for s in standings(ledger)] == [3, 9]


def test_an_old_file_without_indices_or_lengths_is_taken_over(place, ledger_path):
    connection = sqlite3.connect(place)
    connection.execute(
        "CREATE TABLE model_efficacy (id INTEGER PRIMARY KEY, model_type_state, correct_num, sample_num)"
    )
    connection.execute("INSERT INTO model_efficacy VALUES (1, ?, '17', 51)", (PRETRAINED,))
    connection.commit()
    connection.close()
    imported = import_reference(place, ledger_path)
    assert (imported.states[0].right, imported.states[0].asked) == (17, 51)
    assert "no table sample_indices" in imported.general[0]


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ("CREATE TABLE recipes (name)", "stack_trace.db: no table model_efficacy"),
        (
            "CREATE TABLE model_efficacy (id INTEGER PRIMARY KEY, correct_num)",
            "the table model_efficacy lacks model_type_state, sample_num",
        ),
        (
            "CREATE TABLE model_efficacy (id INTEGER PRIMARY KEY, model_type_state, correct_num, "
            "sample_num); CREATE TABLE sample_indices (id INTEGER PRIMARY KEY)",
            "the table sample_indices lacks model_efficacy_id, seq_num, seq_ids",
        ),
        (
            "CREATE TABLE model_efficacy (id INTEGER PRIMARY KEY, model_type_state, correct_num, "
            "sample_num)",
            "has no record that can be taken over",
        ),
    ],
)
def test_another_database_is_refused_and_no_ledger_is_made(place, ledger_path, schema, sentence):
    connection = sqlite3.connect(place)
    connection.executescript(schema)
    connection.close()
    with pytest.raises(ValueError, match=sentence):
        import_reference(place, ledger_path)
    assert not ledger_path.parent.exists()


def test_what_is_no_database_is_refused(tmp_path, ledger_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("These are my notes. " * 100)
    with pytest.raises(ValueError, match="is no SQLite database"):
        import_reference(notes, ledger_path)
    with pytest.raises(FileNotFoundError, match="does not exist; expected the reference"):
        import_reference(tmp_path / "none.db", ledger_path)
    with pytest.raises(FileNotFoundError, match="is a directory"):
        import_reference(tmp_path, ledger_path)


def test_a_failed_import_leaves_nothing_behind(place, ledger_path):
    write_reference(place, [(RANDOM, 1, 3, "3")])
    with Ledger(ledger_path) as ledger, ledger.writing() as connection:
        connection.execute(
            "CREATE TRIGGER no_searches BEFORE INSERT ON searches "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    with pytest.raises(sqlite3.IntegrityError):
        import_reference(place, ledger_path)
    for table in ("imports", "states", "sources"):
        assert rows(ledger_path, f"SELECT count(*) FROM {table}") == [(0,)]


def test_the_file_is_never_changed_also_in_wal_mode(place, ledger_path, tmp_path):
    write_reference(place, [(RANDOM, 1, 3, "3")])
    connection = sqlite3.connect(place)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    imported = import_reference(place, ledger_path)
    assert imported.sha256 == hashlib.sha256(place.read_bytes()).hexdigest()
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir() if f.is_file()} == before


def test_what_stands_in_the_log_alone_is_read_too(place, ledger_path):
    write_reference(place, [(RANDOM, 1, 3, "3")])
    writer = sqlite3.connect(place)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("UPDATE model_efficacy SET correct_num = 2, sample_num = 9, sample_seq = '3,6'")
    writer.commit()
    main, log = place.read_bytes(), place.with_name("stack_trace.db-wal").read_bytes()
    imported = import_reference(place, ledger_path)
    assert (imported.states[0].right, imported.states[0].asked) == (2, 9)
    assert (place.read_bytes(), place.with_name("stack_trace.db-wal").read_bytes()) == (main, log)
    assert imported.sha256 == hashlib.sha256(main + log).hexdigest()
    writer.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_read_only_folder_can_be_read(mode):
    folder = Path(tempfile.mkdtemp())
    path = write_reference(folder / "stack_trace.db", [(RANDOM, 1, 3, "3")])
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.close()
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        assert without_rights(read, path) == hashlib.sha256(path.read_bytes()).hexdigest()
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


@st.composite
def reference_states(draw):
    """A state with sums that may be wrong, lists of indices with crashes, and replays."""
    lengths = draw(st.lists(st.integers(1, 4).map(lambda n: 3 * n), max_size=6))
    tried = []
    for length in draw(st.permutations(lengths))[: draw(st.integers(0, len(lengths)))]:
        # Of four starts the same list comes back: a replay.
        known = ids(length, 10_000 * draw(st.integers(1, 4)))
        words = list(map(str, known))
        if length > 3 and draw(st.booleans()):
            place = 3 * draw(st.integers(0, length // 3 - 1))
            words[place : place + 3] = [""]
        tried.append((length, ",".join(words)))
    wrong = st.sampled_from([-3, -1, 0, 0, 0, 1, 3, 12])
    right = max(0, len(lengths) + draw(wrong))
    asked = max(0, sum(lengths) + draw(wrong))
    as_stored = draw(st.sampled_from([str, int]))
    seq = ",".join(map(str, lengths)) if draw(st.booleans()) else None
    return as_stored(right), as_stored(asked), seq, tried


@settings(max_examples=60, deadline=None)
@given(st.lists(reference_states(), min_size=1, max_size=3))
def test_what_is_kept_is_what_was_stored_less_what_is_told_as_corrected(states):
    with tempfile.TemporaryDirectory() as folder:
        names = [f"Bert-NoPretrain-{i}-squad" for i in range(len(states))]
        path = write_reference(
            Path(folder) / "stack_trace.db",
            [(name, *state[:3]) for name, state in zip(names, states, strict=True)],
            [(i + 1, *row) for i, state in enumerate(states) for row in state[3]],
        )
        imported = import_reference(path, Path(folder) / "ledger.sqlite")
        for kept, (right, asked, *_) in zip(imported.states, states, strict=True):
            assert kept.right == int(right) + sum(c.right for c in kept.corrections)
            assert kept.asked == int(asked) + sum(c.asked for c in kept.corrections)
            assert all(search.asked >= search.right >= 0 for search in kept.searches)
        with Ledger(Path(folder) / "ledger.sqlite") as ledger, ledger.reading() as connection:
            counted = connection.execute(
                "SELECT run, coalesce(sum(counted), 0) AS asked, coalesce(sum(correct), 0) AS right "
                "FROM states LEFT JOIN state_counts ON state_id = states.id GROUP BY states.id"
            ).fetchall()
            assert not connection.execute("PRAGMA foreign_key_check").fetchall()
        kept = [(state.state.name, state.asked, state.right) for state in imported.states]
        assert [tuple(row) for row in counted] == kept


def test_the_verb_tells_state_by_state(place, tmp_path):
    path = write_reference(
        place,
        [(RANDOM, "15", 1584, text(LONG)), (CUSTOM, 2, 2, "1,1")],
        [(1, "33", text([*ids(30)]) + ",")],
    )
    said = CliRunner().invoke(ledger_app, ["import", str(path), "--runs", str(tmp_path)])
    assert said.exit_code == 0
    assert "2 states, 17 searches, 30 asked questions known by their index" in said.stdout
    assert "stored 15 of 1,584, kept 15 of 1,581" in said.stdout
    low, high = f"{1500 / 1581:.2f} %", f"{1500 / 1551:.2f} %"
    assert f"between {low} and {high} right, for a round of three was counted whole" in said.stdout
    assert "(+0 right, -3 asked)" in said.stdout and "  100.00 % right" in said.stdout
    other = CliRunner().invoke(
        ledger_app, ["import", str(path), "--runs", str(tmp_path / "other"), "--json"]
    )
    found = json.loads(other.stdout)
    assert found["states"][0]["stored"] == {"right": 15, "asked": 1584}
    assert found["states"][0]["kept"] == {"right": 15, "asked": 1581}
    assert found["states"][0]["between"] == [15 / 1581, 15 / 1551]
    assert found["states"][0]["corrections"][0]["asked"] == -3
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and found["notes"]


def test_data_that_was_asked_one_by_one_has_an_exact_share(place, ledger_path):
    write_reference(place, [("Bert-20-data.json", "2", "5", "1,4"), ("B-5-squad", 2, 6, "3,3")])
    one_by_one, in_threes = import_reference(place, ledger_path).states
    assert one_by_one.bounds == (0.4, 0.4) and in_threes.bounds == (pytest.approx(1 / 3), 1.0)
