import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from qa_research.ledger.old_lab.importing import import_old_lab
from qa_research.ledger.old_lab.read import parse_index_row, read_old_lab
from tests.fake_runs import without_rights
from tests.ledger.old_lab.databases import (
    LATER,
    PRETRAINED,
    RANDOM,
    as_text,
    rows,
    write_old_lab,
)


@pytest.mark.parametrize(
    ("number", "words", "rounds", "notes"),
    [
        # A crash at the first question of the second round, and at its second question.
        (9, "1,2,3,4,,5,6,7", "1 2 3|4!|5 6 7", 0),
        (9, "1,2,3,4,5,,6,7,8", "1 2 3|4 5!|6 7 8", 0),
        (15, "4,,5,6,7,8,,9,10,,11,12,13", "4!|5 6 7|8!|9 10!|11 12 13", 0),
        (6, "1,2,3,4,", "1 2 3|4!", 1),
        (6, "1,2,3,4,5", "1 2 3|4 5", 1),
        # A round that left no index.
        (6, ",1,2,3", "?!|1 2 3", 0),
        (9, "1,2,3,,4,5,6", "1 2 3|?!|4 5 6", 0),
        (6, "1,2,3,", "1 2 3|?!", 1),
        (9, "1,2,3,,", "1 2 3|?!|?!", 1),
        (9, ",1,2,3,,4,5,6", "1 2 3|?!|4 5 6", 1),
        (9, "1,2,3,,,4,5,6", "1 2 3|?!|4 5 6", 1),
        # Stray commas, and what does not fit.
        (3, "1,2,3,", "1 2 3", 1),
        (3, "1,,2,3", "1 2 3", 1),
        (9, "1,2,3", "1 2 3", 1),
        (7, "1,2,3,,4,5", "1|2|3|4|5", 1),
        (3, "1,2,3,4,5,6", "1 2 3|4 5 6", 1),
        ("3", " 1, 2 ,3", "1 2 3", 0),
        (3, None, "", 0),
        (3, ",,", "", 0),
        (1, 7, "7", 0),
        (1, 0, "0", 0),
    ],
)
def test_the_index_before_a_gap_crashed_and_its_round_was_lost(number, words, rounds, notes):
    notes_made: list[str] = []
    row = parse_index_row(5, number, words, notes_made)
    shown: dict[int, list[str]] = {}
    for slot in row.slots:
        index = "?" if slot.index is None else str(slot.index)
        shown.setdefault(slot.round, []).append(index + ("!" if slot.crashed else ""))
    assert "|".join(" ".join(shown[number]) for number in sorted(shown)) == rounds
    assert row.crashes == rounds.count("!")
    assert [len(whole) for whole in row.rounds] == [
        len(asked.split()) for asked in rounds.split("|") if asked and "!" not in asked
    ]
    assert len(notes_made) == notes
    assert all("row 5 of sample_indices" in note for note in notes_made)


def test_text_is_read_as_numbers_and_what_is_not_a_number_is_skipped_with_a_note(
    place, ledger_path
):
    path = write_old_lab(
        place,
        [
            (PRETRAINED, "15", "45", as_text([3] * 15)),
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
    imported = import_old_lab(path, ledger_path)
    kept = {state.state.name: (state.right, state.asked) for state in imported.states}
    assert kept == {PRETRAINED: (15, 45), LATER: (2, 6), "Bert-5-squad": (2, 9)}
    notes = " ".join(imported.notes)
    for part in (
        "correct_num of model_efficacy was text in 1 row,",
        "row 2 of model_efficacy was skipped", "correct_num='many'",
        "row 4 of model_efficacy", "row 6 of model_efficacy", "row 7 of", "row 8 of",
        "sample_seq has 'six', which is not the length of a search",
        "row 1 of sample_indices was skipped because it has more than numbers",
        "row 2 of sample_indices", "row 4 of sample_indices",
        "skipped 1 row of sample_indices: there is no state with the id 2",
    ):  # fmt: skip
        assert part in notes
    assert json.loads(rows(ledger_path, "SELECT notes FROM imports")[0][0]) == imported.notes


def test_a_name_without_step_and_data_is_kept_with_a_note(place, ledger_path):
    imported = import_old_lab(write_old_lab(place, [("my model", 1, 3, "3")]), ledger_path)
    assert "does not include a step and data" in imported.notes[0]
    assert rows(ledger_path, "SELECT run, step, pretrained FROM states") == [
        ("my model", None, None)
    ]


def test_the_oldest_files_without_indices_or_lengths_are_imported(place, ledger_path):
    connection = sqlite3.connect(place)
    connection.execute(
        "CREATE TABLE model_efficacy (id INTEGER PRIMARY KEY, model_type_state, correct_num, sample_num)"
    )
    connection.execute("INSERT INTO model_efficacy VALUES (1, ?, '17', 51)", (PRETRAINED,))
    connection.commit()
    connection.close()
    imported = import_old_lab(place, ledger_path)
    assert (imported.states[0].right, imported.states[0].asked) == (17, 51)
    assert "no table sample_indices" in imported.general[0]


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ("CREATE TABLE recipes (name)", "stack_trace.db: no table model_efficacy"),
        (
            "CREATE TABLE model_efficacy (id INTEGER PRIMARY KEY, correct_num)",
            "its table model_efficacy has no model_type_state, sample_num",
        ),
        (
            "CREATE TABLE model_efficacy (id INTEGER PRIMARY KEY, model_type_state, correct_num, "
            "sample_num); CREATE TABLE sample_indices (id INTEGER PRIMARY KEY)",
            "its table sample_indices has no model_efficacy_id, seq_num, seq_ids",
        ),
        (
            "CREATE TABLE model_efficacy (id INTEGER PRIMARY KEY, model_type_state, correct_num, "
            "sample_num)",
            "has no records that can be imported",
        ),
        (
            "CREATE VIEW model_efficacy AS WITH RECURSIVE endless (id) AS (SELECT 1 UNION ALL SELECT id + 1 "
            "FROM endless) SELECT id, 'A-1-x' AS model_type_state, 1 AS correct_num, 3 AS sample_num "
            "FROM endless",
            "no table model_efficacy",
        ),
        (
            "CREATE TABLE model_efficacy (id, model_type_state, correct_num, sample_num); "
            "INSERT INTO model_efficacy VALUES (1, zeroblob(5000000), 1, 3)",
            "a text or row of more than 4,000,000 bytes",
        ),
    ],
)
def test_another_database_is_refused_and_no_ledger_is_made(place, ledger_path, schema, sentence):
    connection = sqlite3.connect(place)
    connection.executescript(schema)
    connection.close()
    with pytest.raises(ValueError, match=sentence):
        import_old_lab(place, ledger_path)
    assert not ledger_path.parent.exists()


def test_no_text_of_the_file_is_repeated_at_length(place):
    long = "x" * 10_000
    write_old_lab(place, [(long, 1, 3, "3"), (RANDOM, 1, 3, f"{long},,3"), (RANDOM, long, 3, "3")])
    notes = read_old_lab(place).notes
    assert len(notes) == 4 and all("x" * 100 in note and len(note) < 500 for note in notes)


def test_a_file_that_is_not_a_database_is_refused(tmp_path, ledger_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("These are my notes. " * 100)
    with pytest.raises(ValueError, match="is not an SQLite database"):
        import_old_lab(notes, ledger_path)
    (tmp_path / "empty.db").touch()
    with pytest.raises(ValueError, match=r"empty\.db is empty; expected the old lab's"):
        import_old_lab(tmp_path / "empty.db", ledger_path)
    assert not ledger_path.parent.exists()
    with pytest.raises(FileNotFoundError, match="does not exist; expected the old lab"):
        import_old_lab(tmp_path / "none.db", ledger_path)
    with pytest.raises(FileNotFoundError, match="is a directory"):
        import_old_lab(tmp_path, ledger_path)


def test_the_file_is_never_changed_even_in_wal_mode(place, ledger_path, tmp_path):
    write_old_lab(place, [(RANDOM, 1, 3, "3")])
    connection = sqlite3.connect(place)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    imported = import_old_lab(place, ledger_path)
    assert imported.sha256 == hashlib.sha256(place.read_bytes()).hexdigest()
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir() if f.is_file()} == before


def test_changes_that_are_only_in_the_log_are_read(place, ledger_path):
    write_old_lab(place, [(RANDOM, 1, 3, "3")])
    writer = sqlite3.connect(place)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("UPDATE model_efficacy SET correct_num = 2, sample_num = 9, sample_seq = '3,6'")
    writer.commit()
    main, log = place.read_bytes(), place.with_name("stack_trace.db-wal").read_bytes()
    imported = import_old_lab(place, ledger_path)
    assert (imported.states[0].right, imported.states[0].asked) == (2, 9)
    assert (place.read_bytes(), place.with_name("stack_trace.db-wal").read_bytes()) == (main, log)
    assert imported.sha256 == hashlib.sha256(main + log).hexdigest()
    writer.close()


def read(path: Path) -> str:
    """For a process without rights."""
    return read_old_lab(path).sha256


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_read_only_folder_can_be_read(mode):
    folder = Path(tempfile.mkdtemp())
    path = write_old_lab(folder / "stack_trace.db", [(RANDOM, 1, 3, "3")])
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
