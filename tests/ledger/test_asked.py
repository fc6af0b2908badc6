import logging
import sqlite3
import time
from multiprocessing import get_context

import pytest

from qa_research.ledger import database as opening
from qa_research.ledger.asked import Source, end_search, start_search, write_round
from qa_research.ledger.runs import Ledger, entry_of
from tests.fake_runs import CONFIG, record_of
from tests.ledger.asking import SOURCE, ask_many, failed_row, row_of, state_of, write_search

# The layout of version 1, as the program of 2026-11 made it (shortened to what its code read).
VERSION_1 = """
CREATE TABLE runs (id TEXT PRIMARY KEY, directory TEXT NOT NULL UNIQUE, status TEXT NOT NULL,
 study TEXT NOT NULL, seed INTEGER, started TEXT, finished TEXT, command TEXT NOT NULL, data TEXT,
 train_fingerprint TEXT, validation_fingerprint TEXT, weights_fingerprint TEXT, questions TEXT NOT NULL,
 versions TEXT NOT NULL, git_commit TEXT, git_modified INTEGER, steps INTEGER, best_step INTEGER,
 train_s REAL, validation_s REAL, error TEXT, config TEXT NOT NULL);
CREATE TABLE scores (run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL,
 value REAL, PRIMARY KEY (run_id, name)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def query(path, text, *values):
    with Ledger(path, read_only=True) as ledger, ledger.reading() as connection:
        return [tuple(row) for row in connection.execute(text, values)]


def test_a_state_and_a_source_are_one_row_however_often_they_are_asked(path):
    with Ledger(path) as ledger:
        first = write_search(ledger, [False, True], state_of())
        again = write_search(ledger, [True], state_of())
        other_step = write_search(ledger, [True], state_of(100))
        other_seed = start_search(ledger, state_of(), SOURCE, 2, "right")
    begun = [(search.draw, search.first) for search in (first, again, other_step, other_seed)]
    assert begun == [(0, 0), (0, 2), (0, 0), (0, 0)]
    assert query(path, "SELECT count(*) FROM states") == [(2,)]
    assert query(path, "SELECT name, questions FROM sources") == [("builtin", 1000)]
    assert query(path, "SELECT count(*) FROM questions") == [(3,)]


def test_an_order_is_continued_until_it_is_used_up(path):
    ten = Source("ten", "file", "f10", 10)
    with Ledger(path) as ledger:

        def begin(asked, ending="done"):
            search = start_search(ledger, state_of(), ten, 1, "questions")
            write_round(ledger, search, [row_of(i, False) for i in range(asked)], ending)
            return search.draw, search.first

        assert [begin(4), begin(5)] == [(0, 0), (0, 4)]
        assert begin(1) == (0, 9), "one is left, and is asked first"
        assert begin(3, None) == (1, 0), "the order is used up"
        assert begin(1) == (2, 0), "another process is at the order before"


@pytest.mark.parametrize("asked_before", [0, 3])
def test_a_search_that_ended_before_its_first_round_blocks_nothing(path, asked_before):
    with Ledger(path) as ledger:
        if asked_before:
            write_search(ledger, [False] * asked_before, state_of())
        for _ in range(2):
            empty = start_search(ledger, state_of(), SOURCE, 1, "right")
            end_search(ledger, empty, "stopped")
        after = write_search(ledger, [True], state_of())
    assert (after.draw, after.first) == (0, asked_before)
    endings = query(path, "SELECT ending FROM searches ORDER BY first")
    assert endings == ([("bound",)] if asked_before else []) + [("right",)]


def test_a_renamed_run_is_known_by_its_id(path):
    with Ledger(path) as ledger:
        write_search(ledger, [True], state_of())
        renamed = state_of()
        object.__setattr__(renamed, "run", "study/elsewhere")
        write_search(ledger, [True], renamed)
    assert query(path, "SELECT run FROM states") == [("study/elsewhere",)]


def test_counts_are_views_over_the_rows(path):
    with Ledger(path) as ledger:
        write_search(ledger, [False, False, True, True], state_of())
        search = start_search(ledger, state_of(), SOURCE, 1, "questions")
        write_round(ledger, search, [row_of(0, True), failed_row(1), row_of(2, False)], None)
    counts = query(path, "SELECT asked, counted, correct, failed, ending FROM search_counts")
    assert counts == [(4, 3, 1, 0, "right"), (3, 2, 1, 1, None)]
    totals = query(path, "SELECT searches, ended_right, asked, counted, correct FROM state_counts")
    assert totals == [(2, 1, 7, 3, 2)], "a question counts once, however often it was asked"
    kinds = query(path, "SELECT kind, counted, correct FROM kind_counts ORDER BY kind")
    assert kinds == [("lookup", 2, 2), ("match", 1, 0)]
    assert query(path, "SELECT number, times FROM repeats") == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    "row",
    [
        row_of(0, True, answer=None),  # answered without an answer
        row_of(0, True, status="failed"),  # failed with one
        row_of(0, True, status="unsure"),
        row_of(0, True, number=None, id=None, exact_match=7),
    ],
)
def test_rows_that_contradict_themselves_are_refused_with_their_whole_round(path, row):
    with Ledger(path) as ledger:
        search = start_search(ledger, state_of(), SOURCE, 1, "right")
        with pytest.raises(sqlite3.IntegrityError):
            write_round(ledger, search, [row_of(1, False), row], "right")
    assert query(path, "SELECT count(*) FROM asked") == [(0,)]
    assert query(path, "SELECT count(*) FROM questions") == [(0,)]


def test_a_round_without_a_search_is_refused(path):
    with Ledger(path) as ledger:
        search = start_search(ledger, state_of(), SOURCE, 1, "right")
        with ledger.writing() as connection:
            connection.execute("DELETE FROM searches")
        with pytest.raises(sqlite3.IntegrityError):
            write_round(ledger, search, [row_of(0, True)], None)


def test_what_was_asked_outlives_the_run_and_the_rebuilding_of_its_index(path):
    directory = path.parent / "s" / "a"
    with Ledger(path) as ledger:
        ledger.write_run(directory, record_of(1, id="r1"), CONFIG)
        write_search(ledger, [True], state_of(run="r1"))
        ledger.replace_all([entry_of(directory, record_of(1, id="r1"), CONFIG)])
        assert query(path, "SELECT count(*) FROM asked") == [(1,)]
        ledger.replace_all([])
        ledger.remove("r1")
    assert query(path, "SELECT run_id, run FROM states") == [("r1", "study/r1")]
    assert query(path, "SELECT count(*) FROM asked") == [(1,)]


def test_a_ledger_of_version_1_is_migrated_and_keeps_its_runs(path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    with Ledger(path, read_only=True) as ledger:
        assert ledger.runs() == []
    assert query(path, "PRAGMA user_version") == [(1,)], "reading changes nothing"
    with Ledger(path) as ledger:
        ledger.write_run(path.parent / "s" / "a", record_of(1), CONFIG)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with Ledger(path) as ledger:
        write_search(ledger, [True], state_of())
        assert len(ledger.runs()) == 1
    assert query(path, "PRAGMA user_version") == [(opening.VERSION,)]


def test_eight_processes_asking_at_once_lose_nothing(path):
    context = get_context("spawn")
    start, errors = context.Barrier(8), context.Queue()
    workers = [
        context.Process(target=ask_many, args=(path, n, 20, start, errors)) for n in range(8)
    ]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        if path.exists() and path.stat().st_size:
            # Whoever looks meanwhile sees whole rounds.
            assert all(
                asked % 8 == 0 for (asked,) in query(path, "SELECT asked FROM search_counts")
            )
        time.sleep(0.1)
    assert [errors.get() for _ in workers] == [""] * 8
    assert query(path, "SELECT count(*), sum(asked), sum(ending IS NULL) FROM search_counts") == [
        (160, 160 * 24, 0)
    ]
    places = query(path, "SELECT DISTINCT state_id, draw, first FROM searches")
    assert len(places) == 160 and {first % 24 for _, _, first in places} == {0}
    for state, draw, first in places:
        assert first == 0 or (state, draw, first - 24) in places, "an order has no gaps"


def test_a_ledger_that_a_foreign_program_holds_is_waited_for_and_then_named(
    path, monkeypatch, caplog
):
    monkeypatch.setattr(opening, "SECONDS_BEFORE_A_LINE", 0.1)
    monkeypatch.setattr(opening, "SECONDS_TO_WAIT", 0.4)
    monkeypatch.setattr(logging.getLogger("qa_research"), "propagate", True)
    with Ledger(path) as ledger:
        search = write_search(ledger, [True], state_of(), ending=None)
        foreign = sqlite3.connect(path, isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        with caplog.at_level("INFO"), pytest.raises(TimeoutError) as refused:
            write_round(ledger, search, [row_of(1, False)], "right")
        assert "another process has locked the ledger" in str(refused.value)
        assert str(path) in str(refused.value) and "try again later" in str(refused.value)
        assert f"Waiting for the ledger {path}" in caplog.text
        foreign.execute("ROLLBACK")
        foreign.close()
        write_round(ledger, search, [row_of(1, False)], "right")
    assert query(path, "SELECT ending FROM searches") == [("right",)]
