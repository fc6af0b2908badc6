import csv
import json
import sqlite3
from contextlib import closing

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from qa_research.cli.ledger import ledger_app
from qa_research.ledger.old_lab import stacks as old_stacks
from qa_research.ledger.old_lab.database import quoted
from qa_research.ledger.old_lab.importing import import_old_lab
from qa_research.ledger.old_lab.read import read_old_lab
from qa_research.ledger.runs import Ledger
from qa_research.ledger.stacks import Frame, list_recordings, read_recording, tallies
from tests.ledger.old_lab.databases import (
    MODULE,
    RANDOM,
    TRACEBACKS,
    TRAINER,
    rows,
    write_old_lab,
    write_stacks,
)

CAVEAT = (
    "each sample interrupted a training, and an interrupt waits until C++ returns, so they could hardly see "
    "backward: it is in 2 of 40 samples of a training step"
)


def changed(place, *statements):
    """The old lab's stacks, with something done to them."""
    write_stacks(place)
    with closing(sqlite3.connect(place)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return place


def odd(place, *statements):
    """What is odd then, without the numbers that are always text."""
    return [n for n in read_old_lab(changed(place, *statements)).notes if "was text" not in n]


def old_tables(place):
    """What the old tables hold: how often each stack, and how often each line, by function."""
    with closing(sqlite3.connect(place)) as connection:
        sequences = connection.execute(
            "SELECT training_function, seq_ids, tally FROM call_sequence"
        )
        stacks, lines = [], []
        for function, ids, tally in sequences.fetchall():
            table = connection.execute(
                f"SELECT id, file, line, function FROM {quoted(function)}"
            ).fetchall()
            by_id = {row[0]: (row[1], int(row[2]), row[3]) for row in table}
            stacks.append((function, tuple(by_id[i] for i in json.loads(ids)), int(tally)))
        for function in dict.fromkeys(stack[0] for stack in stacks):
            table = connection.execute(
                f"SELECT file, line, function, tally FROM {quoted(function)}"
            )
            lines += [(function, row[0], int(row[1]), *row[2:]) for row in table.fetchall()]
    return sorted(stacks), sorted(lines)


def views(ledger_path):
    """The same of the ledger."""
    frames = {
        row[0]: row[1:]
        for row in rows(ledger_path, "SELECT id, file, line, function FROM stack_frames")
    }
    sequences = rows(ledger_path, "SELECT training_function, seq_ids, tally FROM call_sequence")
    lines = rows(
        ledger_path, "SELECT training_function, file, line, function, tally FROM function_tally"
    )
    stacks = [
        (name, tuple(frames[i] for i in json.loads(ids)), tally) for name, ids, tally in sequences
    ]
    return sorted(stacks), sorted(lines)


def test_the_views_give_back_what_the_old_tables_held(place, ledger_path):
    import_old_lab(write_stacks(place), ledger_path)
    stacks, lines = views(ledger_path)
    assert (stacks, lines) == old_tables(place)
    # Six stacks by hand. The line that calls a module is twice in 30 of them, and once in one.
    assert sorted(TRACEBACKS) == [(name, list(stack), tally) for name, stack, tally in stacks]
    assert ("compute_loss", MODULE, 1527, "_call_impl", 2 * 30 + 1) in lines
    of_samples = rows(
        ledger_path,
        "SELECT tally, samples FROM function_tally WHERE line = 1527 AND training_function = 'compute_loss'",
    )
    assert of_samples == [(61, 31)]


names = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=6
)
frames = st.tuples(st.sampled_from(["a.py", "ä b/c.py", TRAINER]), st.integers(0, 3), names)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            names.filter(
                lambda name: name.lower() != "call_sequence" and not name.startswith("sqlite_")
            ),
            st.lists(frames, min_size=1, max_size=8),
            st.integers(1, 3),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda traceback: traceback[0].lower(),
    )
)
def test_they_do_for_any_stacks(tmp_path_factory, tracebacks):
    folder = tmp_path_factory.mktemp("old")
    # A line has one function, as in a file.
    found = [
        (
            name.replace('"', "'"),
            [(file, line, f"of {file}:{line}") for file, line, _ in stack],
            times,
        )
        for name, stack, times in tracebacks
    ]
    place = write_stacks(folder / "stack_trace.db", found)
    import_old_lab(place, folder / "ledger.sqlite")
    assert views(folder / "ledger.sqlite") == old_tables(place)


def test_the_stacks_are_one_recording_without_times(place, ledger_path):
    imported = import_old_lab(write_stacks(place), ledger_path)
    assert imported.stacks.by_function == {
        "compute_loss": 31, "_inner_training_loop": 15, "training_step": 9
    }  # fmt: skip
    with Ledger(ledger_path, read_only=True) as ledger:
        (entry,) = list_recordings(ledger)
        recording = read_recording(ledger, entry.number)
    assert (entry.run, entry.run_id, entry.samples, entry.is_imported) == (
        "stack_trace.db", None, 55, True
    )  # fmt: skip
    assert recording.caveat == entry.caveat == imported.caveat == CAVEAT
    assert recording.samples[0].phase == "compute_loss" and len(recording.samples) == 55
    assert recording.samples[0].stack[0] == Frame("/Users/Ada/Übung/run_qa.py", 675, "main")
    assert [count for _, count in tallies(recording.samples)] == [30, 12, 7, 3, 2, 1]
    known = "SELECT count(at_s), count(step), sum(is_cut), count(DISTINCT phase) FROM stack_samples"
    assert rows(ledger_path, known) == [(0, 0, 0, 1)]
    told = "SELECT started, mean_s, seed, from_s, to_s, ending, rank, command FROM stack_recordings"
    assert rows(ledger_path, told) == [(None, None, None, None, None, None, 0, "[]")]
    (notes,) = rows(ledger_path, "SELECT notes FROM imports")[0]
    assert f"stacks: {CAVEAT}" in json.loads(notes)


def test_a_file_may_have_both_or_either(place, tmp_path):
    write_old_lab(place, [(RANDOM, 2, 6, "3,3")])
    imported = import_old_lab(place, tmp_path / "asked.sqlite")
    assert imported.caveat is None and imported.as_json()["stacks"]["samples"] == 0
    write_stacks(place)
    imported = import_old_lab(place, tmp_path / "both.sqlite")
    assert len(imported.states) == 1 and imported.stacks.samples == 55
    place.unlink()
    imported = import_old_lab(write_stacks(place), tmp_path / "stacks.sqlite")
    assert imported.states == () and imported.stacks.samples == 55
    with pytest.raises(ValueError, match="already been imported, as .* nothing was changed"):
        import_old_lab(place, tmp_path / "stacks.sqlite")


def test_stacks_are_added_to_an_import_from_before_they_were_known(place, ledger_path):
    write_stacks(write_old_lab(place, [(RANDOM, 2, 6, "3,3,x")]))
    import_old_lab(place, ledger_path)
    with closing(sqlite3.connect(ledger_path)) as connection:
        # As the earlier import left it: no tables of stacks, and no notes on any.
        for name in ("function_tally", "call_sequence"):
            connection.execute(f"DROP VIEW {name}")
        for name in (
            "stack_threads",
            "stack_samples",
            "stacks",
            "stack_frames",
            "stack_recordings",
        ):
            connection.execute(f"DROP TABLE {name}")
        (notes,) = connection.execute("SELECT notes FROM imports").fetchone()
        earlier = [note for note in json.loads(notes) if "sample_seq has 'x'" in note]
        connection.execute("UPDATE imports SET notes = ?", (json.dumps(earlier),))
        connection.execute("PRAGMA user_version = 3")
        connection.commit()
    before = rows(ledger_path, "SELECT * FROM searches JOIN states ON states.id = state_id")
    imported = import_old_lab(place, ledger_path)
    assert imported.states == () and imported.stacks.samples == 55
    assert "adds stacks to the import of 20" in imported.general[-1]
    assert rows(ledger_path, "SELECT * FROM searches JOIN states ON states.id = state_id") == before
    assert rows(ledger_path, "SELECT import_id FROM stack_recordings") == [(1,)]
    ((notes,),) = rows(ledger_path, "SELECT notes FROM imports")
    assert json.loads(notes)[0] == earlier[0] and len(set(json.loads(notes))) == len(
        json.loads(notes)
    )
    assert f"stacks: {CAVEAT}" in json.loads(notes)
    with pytest.raises(ValueError, match="already been imported, as .* nothing was changed"):
        import_old_lab(place, ledger_path)
    assert rows(ledger_path, "SELECT count(*) FROM stack_samples") == [(55,)]


def test_stacks_of_a_later_file_are_kept_beside_those_of_the_earlier(place, ledger_path):
    import_old_lab(write_stacks(place), ledger_path)
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("UPDATE call_sequence SET tally = 31 WHERE tally = 30")
        connection.commit()
    imported = import_old_lab(place, ledger_path)
    assert "stacks were also imported from stack_trace.db at 20" in imported.general[-1]
    counts = "SELECT recording_id, sum(tally) FROM call_sequence GROUP BY 1"
    assert rows(ledger_path, counts) == [(1, 55), (2, 56)]
    # Their frames and stacks are the same rows.
    assert rows(ledger_path, "SELECT count(*) FROM stacks") == [(6,)]


def test_ids_that_a_table_lacks_are_unknown_lines_and_told(place, ledger_path):
    changed(place, "DELETE FROM compute_loss WHERE id IN (6, 7)")
    imported = import_old_lab(place, ledger_path)
    assert [note for note in imported.general if "was text" not in note] == [
        "row 1 of call_sequence names the ids 6, 7, which 'compute_loss' does not have: unknown lines in a "
        "stack of 11",
        "row 2 of call_sequence names the ids 6, 7, which 'compute_loss' does not have: unknown lines in a "
        "stack of 7",
    ]
    assert imported.stacks.samples == 55
    unknown = (
        "SELECT tally, samples FROM function_tally WHERE file = 'unknown' AND function = 'unknown'"
    )
    assert rows(ledger_path, unknown) == [(4 * 30 + 2, 31)]


def test_tallies_that_do_not_add_up_are_told_and_left(place, ledger_path):
    changed(place, "UPDATE compute_loss SET tally = tally + 1 WHERE id <> 3")
    imported = import_old_lab(place, ledger_path)
    (note,) = [note for note in imported.general if "was text" not in note]
    assert note == (
        "'compute_loss': 8 of 9 rows with another tally than the sequences, which count: row 1 says 32, they "
        "say 31; row 2 says 32, they say 31; row 4 says 32, they say 31 and 5 more"
    )
    assert rows(ledger_path, "SELECT sum(tally) FROM call_sequence") == [(55,)]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE call_sequence SET seq_ids = '[1, 2' WHERE id = 3", "row 3 of call_sequence was skipped"),
        ("UPDATE call_sequence SET seq_ids = '[]' WHERE id = 3", "seq_ids='[]', tally=2"),
        ("UPDATE call_sequence SET seq_ids = '[1, \"x\"]' WHERE id = 3", "has no function, list of ids or"),
        ("UPDATE call_sequence SET seq_ids = '{\"1\": 2}' WHERE id = 3", "has no function, list of ids or"),
        ("UPDATE call_sequence SET seq_ids = 12 WHERE id = 3", "seq_ids=12,"),
        ("UPDATE call_sequence SET seq_ids = x'00ff' WHERE id = 3", "has no function, list of ids or tally"),
        ("UPDATE call_sequence SET tally = 0 WHERE id = 3", "tally=0"),
        ("UPDATE call_sequence SET tally = 'many' WHERE id = 3", "tally='many'"),
        ("UPDATE call_sequence SET tally = -2 WHERE id = 3", "tally=-2"),
        ("UPDATE call_sequence SET training_function = NULL WHERE id = 3", "training_function=None"),
        (
            "UPDATE call_sequence SET training_function = 'evaluate' WHERE id = 3",
            "row 3 of call_sequence, with 2 samples, was skipped because there is no table 'evaluate' with",
        ),
        ("DROP TABLE training_step", "row 4 of call_sequence, with 7 samples, was skipped"),
        ("ALTER TABLE training_step DROP COLUMN function", "no table 'training_step' with id, file, line"),
        ("DELETE FROM call_sequence WHERE id IN (3, 4)", "'training_step' was skipped: no sequence has any"),
        (
            "INSERT INTO call_sequence (training_function, seq_ids, tally) VALUES ('training_step', "
            "'[1, 2, 3, 7]', 5)",
            "rows 4, 7 of call_sequence are one stack, of 'training_step'",
        ),
        ("UPDATE training_step SET file = NULL WHERE id = 1", "row 1 of 'training_step' was skipped because"),
        ("UPDATE training_step SET line = 'x' WHERE id = 1", "has no line or tally: line='x', tally=9"),
        ("UPDATE training_step SET tally = NULL WHERE id = 1", "line='675', tally=None"),
        (
            "UPDATE call_sequence SET training_function = 'training_step', seq_ids = '[7, 3, 2, 1]' "
            "WHERE id = 4",
            "row 4 of call_sequence: the last line of transformers/trainer.py is not of the function",
        ),
    ],
)  # fmt: skip
def test_what_is_odd_is_told(place, statement, said):
    notes = odd(place, statement)
    assert any(said in note for note in notes), notes
    assert all(len(note) < 500 for note in notes)


def test_nothing_is_odd_in_what_the_old_lab_wrote(place):
    notes = read_old_lab(write_stacks(place)).notes
    assert notes == (
        "line of the functions' tables was text in 22 rows, and was read as a number",
        "tally of call_sequence was text in 1 row, and was read as a number",
    )


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (
            ["UPDATE call_sequence SET tally = 999999999999 WHERE id = 1"],
            "counts 1,000,000,000,024 samples",
        ),
        (
            ["ALTER TABLE call_sequence DROP COLUMN seq_ids"],
            "its table call_sequence has no seq_ids",
        ),
        (
            ["DELETE FROM call_sequence"],
            "has no records that can be imported: 'compute_loss' was skipped",
        ),
        (
            ["UPDATE compute_loss SET file = zeroblob(5000000)"],
            "a text or row of more than 4,000,000 bytes",
        ),
        (
            [
                "DROP TABLE call_sequence",
                "CREATE VIEW call_sequence AS WITH RECURSIVE endless (id) AS (SELECT 1 UNION ALL "
                "SELECT id + 1 FROM endless) SELECT id, 'training_step' AS training_function, '[1]' AS "
                "seq_ids, 1 AS tally FROM endless",
            ],
            "no table model_efficacy or call_sequence",
        ),
    ],
)
def test_stacks_that_cannot_be_imported_are_refused_and_no_ledger_is_made(
    place, ledger_path, statements, sentence
):
    changed(place, *statements)
    with pytest.raises(ValueError, match=sentence):
        import_old_lab(place, ledger_path)
    assert not ledger_path.parent.exists()


def test_a_view_and_a_virtual_table_are_not_read_as_a_functions_table(place):
    endless = (
        "CREATE VIEW training_step AS WITH RECURSIVE endless (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM "
        "endless) SELECT id, 'a' AS file, 1 AS line, 'f' AS function, 1 AS tally FROM endless"
    )
    notes = odd(
        place,
        *("DROP TABLE training_step", endless, "DROP TABLE compute_loss"),
        "CREATE VIRTUAL TABLE compute_loss USING fts4 (id, file, line, function, tally)",
    )
    assert len([note for note in notes if "was skipped because there is no table" in note]) == 4


def test_a_stack_longer_than_any_is_skipped(place, monkeypatch):
    monkeypatch.setattr(old_stacks, "MOST_LINES", 10)
    (note, *_) = odd(place)
    assert note.startswith("row 1 of call_sequence was skipped because it has no function, list of")


def test_a_functions_name_is_never_sql(place, ledger_path):
    name = 'a"; DROP TABLE call_sequence; --'
    write_stacks(place, [(name, [("a.py", 1, "f")], 2)])
    assert import_old_lab(place, ledger_path).stacks.by_function == {name: 2}


def test_a_damaged_file_is_one_sentence(place, ledger_path):
    content = bytearray(write_stacks(place).read_bytes())
    # The pages of the tables, not that of the schema.
    content[4096:] = b"\xff" * (len(content) - 4096)
    place.write_bytes(content)
    with pytest.raises(
        ValueError, match="is not an SQLite database, or is damaged; expected the old lab's"
    ):
        import_old_lab(place, ledger_path)
    assert not ledger_path.parent.exists()


def test_the_verbs_show_the_stacks_and_what_they_could_not_see(place, tmp_path):
    write_stacks(write_old_lab(place, [(RANDOM, 2, 6, "3,3")]))
    runs = ("--runs", str(tmp_path / "runs"))

    def shown(*words):
        result = CliRunner().invoke(ledger_app, [*words, *runs])
        assert result.exit_code == 0, result.output
        return result.stdout

    out = shown("import", str(place))
    assert "\nstack_trace.db: 55 samples of 6 stacks\n       31  compute_loss\n" in out
    assert f"  {CAVEAT}\n" in out
    query = "SELECT function, tally FROM function_tally WHERE function = 'backward' ORDER BY line"
    assert json.loads(shown("sql", "--json", query)) == [
        {"function": "backward", "tally": 2},
        {"function": "backward", "tally": 2},
    ]
    for table, tally in (("call_sequence", 55), ("function_tally", None)):
        for kind in ("csv", "parquet"):
            shown("export", str(tmp_path / f"{table}.{kind}"), "--table", table)
        written = pq.read_table(tmp_path / f"{table}.parquet").to_pylist()
        with (tmp_path / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            read = list(csv.DictReader(file))
        assert [int(row["tally"]) for row in read] == [row["tally"] for row in written]
        assert tally is None or sum(row["tally"] for row in written) == tally
    runs = ("--runs", str(tmp_path / "other"))
    found = json.loads(shown("import", str(place), "--json"))["stacks"]
    assert (found["samples"], found["sequences"], found["caveat"]) == (55, 6, CAVEAT)
    assert (found["step_samples"], found["backward_samples"]) == (40, 2)
