import math
import sqlite3
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.ledger.runs import Ledger, entry_of
from tests.fake_runs import (
    CONFIG,
    fill_ledger,
    ids_in_ledger,
    make_ledgers,
    record_of,
    running,
)


def test_a_run_is_read_as_it_was_written(path):
    directory = path.parent / "nopretrain" / "run1"
    with Ledger(path) as ledger:
        ledger.write_run(directory, record_of(1), CONFIG)
        (entry,) = ledger.runs()
        assert entry == ledger.run(record_of(1)["id"]) == entry_of(directory, record_of(1), CONFIG)
    assert entry.name == "nopretrain/run1" and entry.git_modified is False
    assert entry.config == CONFIG and entry.scores["val/f1"] == 70.25


def test_a_running_run_has_none_for_what_it_does_not_have_yet(path):
    with Ledger(path) as ledger:
        ledger.write_run(path.parent / "s" / "r", running(1) | {"git": {"commit": None}}, CONFIG)
        (entry,) = ledger.runs()
    assert (entry.status, entry.finished, entry.steps, entry.scores) == ("running", None, None, {})
    assert entry.git_commit is None and entry.git_modified is None


def test_writing_again_replaces_the_scores_too(path):
    directory = path.parent / "s" / "r"
    with Ledger(path) as ledger:
        ledger.write_run(directory, record_of(1), CONFIG)
        ledger.write_run(directory, record_of(1, best={"val/f1": 80, "val/loss": math.nan}), CONFIG)
        (entry,) = ledger.runs()
    assert entry.scores["val/f1"] == 80 and set(entry.scores) == {"val/f1", "val/loss"}
    assert math.isnan(entry.scores["val/loss"])


def test_another_run_in_the_same_directory_replaces_the_first(path):
    with Ledger(path) as ledger:
        for number in (1, 2):
            ledger.write_run(path.parent / "s" / "r", record_of(number), CONFIG)
        assert [entry.id for entry in ledger.runs()] == [record_of(2)["id"]]
        assert ledger.run(record_of(1)["id"]) is None


def test_a_run_that_was_moved_stays_one_run(path):
    with Ledger(path) as ledger:
        ledger.write_run(path.parent / "s" / "r", record_of(1), CONFIG)
        ledger.write_run(path.parent / "s" / "r.1", record_of(1), CONFIG)
        assert [entry.name for entry in ledger.runs()] == ["s/r.1"]


def test_removing_a_run_removes_its_scores(path):
    with Ledger(path) as ledger:
        ledger.write_run(path.parent / "s" / "r", record_of(1), CONFIG)
        ledger.remove(record_of(1)["id"])
        ledger.remove("unknown")
        assert ledger.runs() == []
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM scores").fetchone() == (0,)
    connection.close()


def test_runs_inside_the_folder_move_with_it_and_others_do_not(path, tmp_path):
    with Ledger(path) as ledger:
        ledger.write_run(path.parent / "s" / "inside", record_of(1), CONFIG)
        ledger.write_run(tmp_path / "elsewhere" / "outside", record_of(2), CONFIG)
    path.parent.rename(tmp_path / "moved")
    with Ledger(tmp_path / "moved" / "ledger.sqlite") as ledger:
        places = {entry.directory for entry in ledger.runs()}
    assert places == {tmp_path / "moved" / "s" / "inside", tmp_path / "elsewhere" / "outside"}


def test_a_failed_rebuild_changes_nothing(path):
    def entries():
        yield entry_of(path.parent / "s" / "new", record_of(2), CONFIG)
        raise KeyboardInterrupt

    with Ledger(path) as ledger:
        ledger.write_run(path.parent / "s" / "r", record_of(1), CONFIG)
        before = ledger.runs()
        with pytest.raises(KeyboardInterrupt):
            ledger.replace_all(entries())
        assert ledger.runs() == before


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8))
def test_after_a_rebuild_the_ledger_has_just_what_was_given(pairs):
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        place = Path(folder) / "s"
        for number, directory in pairs:
            ledger.write_run(place / str(directory), record_of(number + 1), CONFIG)
        one_place_a_run = dict(pairs)
        wanted = {directory: number for number, directory in one_place_a_run.items()}
        entries = [
            entry_of(place / str(directory), record_of(number + 1), CONFIG)
            for directory, number in wanted.items()
        ]
        ledger.replace_all(entries)
        assert sorted(ledger.runs(), key=repr) == sorted(entries, key=repr)


def test_a_rebuild_lets_runs_swap_directories_and_keeps_rows_that_refer_to_them(path):
    a, b = path.parent / "s" / "a", path.parent / "s" / "b"
    with Ledger(path) as ledger:
        for number, place in ((1, a), (2, b), (3, path.parent / "s" / "c")):
            ledger.write_run(place, record_of(number), CONFIG)
        connection = sqlite3.connect(path)
        with connection:
            connection.execute(
                "CREATE TABLE hung (run_id TEXT REFERENCES runs (id) ON DELETE CASCADE)"
            )
            connection.execute("INSERT INTO hung SELECT id FROM runs")
        swapped = [entry_of(b, record_of(1), CONFIG), entry_of(a, record_of(2), CONFIG)]
        ledger.replace_all(swapped)
        assert {entry.id: entry.directory for entry in ledger.runs()} == {
            entry.id: entry.directory for entry in swapped
        }
        assert connection.execute("SELECT count(*) FROM hung").fetchone() == (2,)
        connection.close()


@pytest.mark.parametrize("reopen", [False, True])
def test_eight_processes_write_500_runs_each_at_once(path, reopen):
    context = get_context("spawn")
    start, errors = context.Barrier(8), context.Queue()
    workers = [
        context.Process(target=fill_ledger, args=(path, n, 500, reopen, start, errors))
        for n in range(8)
    ]
    begun = time.monotonic()
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        # Reading goes on meanwhile, and sees every run whole.
        if path.exists() and path.stat().st_size:
            with Ledger(path, read_only=True) as ledger:
                assert all(len(entry.scores) == 3 for entry in ledger.runs())
        time.sleep(0.2)
    assert [errors.get() for _ in workers] == [""] * 8
    assert ids_in_ledger(path) == sorted(map(str, range(4000)))
    print(f"8 x 500 writes, reopen={reopen}: {time.monotonic() - begun:.1f} s")


def test_eight_processes_make_the_same_new_ledger_at_once(tmp_path):
    context = get_context("spawn")
    start, errors = context.Barrier(8), context.Queue()
    workers = [
        context.Process(target=make_ledgers, args=(tmp_path, 60, start, errors)) for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    assert [errors.get() for _ in workers] == [[]] * 8
    for worker in workers:
        worker.join()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": None}, "has no id"),
        ({"status": "resting"}, "the status 'resting'; known: running"),
        ({"steps": "many"}, "steps='many'; expected an integer"),
        ({"best": {"val/f1": "high"}}, "val/f1='high'; expected a number"),
        ({"started": "yesterday"}, "started='yesterday'; expected an ISO 8601 time"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(change, sentence, path):
    with Ledger(path) as ledger, pytest.raises(ValueError, match=sentence):
        ledger.write_run(path.parent / "s" / "r", record_of(1, **change), CONFIG)
