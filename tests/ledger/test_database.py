import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from qa_research.ledger.runs import Ledger
from tests.fake_runs import CONFIG, forget_a_run, ids_in_ledger, record_of, without_rights


@pytest.fixture
def for_all():
    """A directory that every user may enter."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    place.chmod(0o755)
    shutil.rmtree(place)


def test_a_ledger_of_a_newer_version_is_refused(path):
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(ValueError) as refused:
            Ledger(path, read_only)
        for part in (
            str(path),
            "version 7",
            "knows 5",
            "upgrade",
            f"`qa-research runs scan --runs {path.parent}`",
        ):
            assert part in str(refused.value)


def test_what_is_not_a_ledger_is_refused_and_left_as_it_is(path):
    path.parent.mkdir()
    path.write_text("These are my notes. " * 100)
    for read_only in (False, True):
        with pytest.raises(ValueError, match="is not an SQLite database"):
            Ledger(path, read_only)
    assert path.read_text().startswith("These are my notes")
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    for view in ("runs", "scores"):
        connection.execute(f"CREATE VIEW {view} AS SELECT name AS id FROM recipes")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(ValueError, match="a database, but not a ledger"):
            Ledger(path, read_only)


def test_a_ledger_with_triggers_is_refused(path):
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER undo AFTER INSERT ON runs BEGIN DELETE FROM runs; END")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(ValueError, match="a database, but not a ledger"):
            Ledger(path, read_only)


def test_reading_a_ledger_that_does_not_exist_is_an_error(path):
    with pytest.raises(FileNotFoundError, match="`qa-research runs scan --runs .*` makes one"):
        Ledger(path, read_only=True)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(FileNotFoundError):
        Ledger(path, read_only=True)
    Ledger(path).close()
    assert ids_in_ledger(path) == []


def test_a_ledger_opened_to_read_cannot_be_written(path):
    Ledger(path).close()
    with Ledger(path, read_only=True) as ledger, pytest.raises(PermissionError, match="read-only"):
        ledger.write_run(path.parent / "s" / "r", record_of(1), CONFIG)


def test_a_ledger_cannot_be_created_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        Ledger(tmp_path / "file" / "ledger.sqlite")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_read_only_directory_can_be_read_and_not_written(for_all):
    path = for_all / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.write_run(for_all / "s" / "r", record_of(1, id="1"), CONFIG)
    assert not path.with_name("ledger.sqlite-wal").exists()
    for_all.chmod(0o555)
    assert without_rights(ids_in_ledger, path) == ["1"]
    refused = without_rights(forget_a_run, path)
    assert isinstance(refused, PermissionError) and "cannot be written" in str(refused)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_read_only_directory_can_be_read_while_a_training_writes(for_all):
    path = for_all / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.write_run(for_all / "s" / "r", record_of(1, id="1"), CONFIG)
        for_all.chmod(0o555)
        assert path.with_name("ledger.sqlite-wal").stat().st_size
        assert without_rights(ids_in_ledger, path) == ["1"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_latest_entries_that_cannot_be_read_are_an_error(for_all):
    path, log = for_all / "ledger.sqlite", for_all / "ledger.sqlite-wal"
    with Ledger(path) as ledger:
        ledger.write_run(for_all / "s" / "r", record_of(1, id="1"), CONFIG)
        kept = log.read_bytes()
    log.write_bytes(kept)
    for_all.chmod(0o555)
    refused = without_rights(ids_in_ledger, path)
    assert isinstance(refused, PermissionError)
    assert "still in ledger.sqlite-wal" in str(refused) and "copy the files" in str(refused)
