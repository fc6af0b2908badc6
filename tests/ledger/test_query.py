import csv
import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from qa_research.cli.ledger import ledger_app
from qa_research.ledger.query import schema_docs, select
from qa_research.ledger.runs import Ledger
from qa_research.text import BLOCK, table_lines
from tests.fake_runs import CONFIG, record_of


@pytest.fixture
def runs(tmp_path) -> Path:
    folder = tmp_path / "runs"
    with Ledger(folder / "ledger.sqlite") as ledger:
        for number in (1, 2):
            ledger.write_run(folder / "s" / f"r{number}", record_of(number), CONFIG)
    return folder


@pytest.fixture
def sql(runs):
    """The verb, on the runs: (exit code, stdout, stderr, error)."""

    def run(*arguments: str):
        result = CliRunner().invoke(ledger_app, ["sql", *arguments, "--runs", str(runs)])
        return result.exit_code, result.stdout, result.stderr, result.exception

    return run


def test_rows_are_aligned_and_counted(sql):
    code, out, err, _ = sql("SELECT seed, directory, error, best_step FROM runs ORDER BY seed")
    assert code == 0 and err == "2 rows\n"
    assert out == (
        "seed  directory  error  best_step\n"
        "   1  s/r1           -        900\n"
        "   2  s/r2           -        900\n"
    )
    assert sql("SELECT 1 AS one WHERE 0")[1:3] == ("one\n", "0 rows\n")
    assert sql("VALUES (1.5), (0.1 + 0.2), (123456789.25)")[1].split() == [
        *("column1", "1.5", "0.3", "123456789.25"),
    ]


def test_what_would_break_the_table_is_escaped(sql):
    _, out, _, _ = sql("SELECT 'a' || char(10) || char(27) || '[2J' AS x, NULL AS n, x'00ff' AS b")
    assert out.splitlines()[1].split() == ["a\\n\\x1b[2J", "-", "x'00ff'"]


def test_json_is_a_list_of_objects(sql):
    _, out, err, _ = sql("SELECT seed, error, 0.5 AS half, 'é' AS e FROM runs", "--json")
    assert json.loads(out) == [
        {"seed": n, "error": None, "half": 0.5, "e": "é"} for n in (1, 2)
    ]  # fmt: skip
    assert err == "2 rows\n"
    assert json.loads(sql("SELECT 1 WHERE 0", "--json")[1]) == []
    assert json.loads(sql("SELECT 9e999 AS i, x'0a' AS b", "--json")[1]) == [
        {"i": "inf", "b": "0a"}
    ]


def test_json_refuses_columns_of_one_name(sql):
    code, out, _, error = sql("SELECT 1 AS a, 2 AS a, 3 AS b", "--json")
    assert (code, out) == (1, "") and "several are called a; rename them with AS" in str(error)
    assert sql("SELECT 1 AS a, 2 AS a")[1] == "a  a\n1  2\n"


def test_csv_is_what_export_writes(sql):
    _, out, _, _ = sql("SELECT seed, error, '' AS e, 'a,b' AS t FROM runs", "--csv")
    assert out.splitlines() == ["seed,error,e,t", '1,,"","a,b"', '2,,"","a,b"']
    assert list(csv.reader(out.splitlines()))[1] == ["1", "", "", "a,b"]
    assert "exclude each other" in str(sql("SELECT 1", "--csv", "--json")[3])


WRITES = [
    "INSERT INTO scores VALUES ('a', 'b', 1)",
    "UPDATE runs SET seed = 7",
    "DELETE FROM runs",
    "REPLACE INTO scores VALUES ('a', 'b', 1)",
    "DROP TABLE runs",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t (a)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE INDEX i ON runs (seed)",
    "ALTER TABLE runs RENAME TO walks",
    "ATTACH '{other}' AS other",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO '{other}'",
    "REINDEX",
    "ANALYZE",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "PRAGMA user_version = 7",
    "PRAGMA user_version(7)",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA wal_checkpoint",
    "PRAGMA optimize",
    "PRAGMA nonsense",
    "WITH a AS (SELECT 1) INSERT INTO scores SELECT 'a', 'b', 1 FROM a",
    "WITH a AS (SELECT 1) DELETE FROM runs",
    "EXPLAIN DELETE FROM runs",
    "/* SELECT */ DELETE FROM runs",
    "-- a comment\nDELETE FROM runs",
    "SELECT 1; DELETE FROM runs",
]


@pytest.mark.parametrize("query", WRITES)
def test_what_would_write_is_refused_before_it_does_anything(query, runs, tmp_path):
    path = runs / "ledger.sqlite"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    other = tmp_path / "other.sqlite"
    with Ledger(path, read_only=True) as ledger:
        with pytest.raises(ValueError) as refused, select(ledger, query.format(other=other)):
            raise AssertionError("was allowed")
        assert "nothing was done" in str(refused.value) or "one at a time" in str(refused.value)
        assert "\n" not in str(refused.value)
        # The connection is as it was.
        assert len(ledger.runs()) == 2
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest and not other.exists()


@pytest.mark.parametrize("query", WRITES)
def test_it_is_refused_as_well_where_the_ledger_could_be_written(query, runs, tmp_path):
    other = tmp_path / "other.sqlite"
    with Ledger(runs / "ledger.sqlite") as ledger:
        with pytest.raises(ValueError), select(ledger, query.format(other=other)):
            raise AssertionError("was allowed")
        assert {entry.seed for entry in ledger.runs()} == {1, 2}
        ledger.remove("another")
    assert not other.exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM runs;",
        "  -- why\n /* and\n how */ select 1",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
        "VALUES (1), (2)",
        "EXPLAIN QUERY PLAN SELECT * FROM asked_questions",
        "PRAGMA table_info(runs)",
        "PRAGMA user_version",
        "PRAGMA integrity_check",
        "SELECT name FROM pragma_table_info('states')",
        "SELECT name FROM pragma_database_list",
        "SELECT value FROM json_each('[1, 2]')",
        "SELECT name FROM sqlite_master",
        "SELECT group_concat(name), round(avg(value), 2) FROM scores GROUP BY run_id HAVING count(*) > 1",
        "SELECT run, count(*) OVER (PARTITION BY step) FROM asked_questions",
    ],
)
def test_what_reads_is_answered(query, runs):
    with Ledger(runs / "ledger.sqlite", read_only=True) as ledger:
        for _ in range(2):
            with select(ledger, query) as result:
                rows = list(result)
                assert result.count == len(rows) and result.columns


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "the query is empty"),
        ("  -- only a comment", "the query is empty"),
        ("selct 1", "the query starts with 'selct'"),
        ("SELECT * FROM rums", "no such table: rums; did you mean runs?"),
        ("SELECT * FROM main.asked_question", "did you mean asked_questions?"),
        ("SELECT * FROM zzzz", "known: asked, asked_questions, call_sequence"),
        ("SELECT sed FROM runs", "no such column: sed; did you mean seed?"),
        ("SELECT r.besst_step FROM runs AS r", "did you mean best_step?"),
        ("SELECT nme FROM runs JOIN scores", "did you mean name?"),
        ("SELECT x", "SQLite says: no such column: x"),
        ("SELECT FROM runs", 'near "FROM": syntax error'),
        ("SELECT (1", "incomplete input"),
        ("SELECT nofunction(1)", "no such function: nofunction"),
        ("SELECT load_extension('x')", "SQLite says: not authorized"),
        ("SELECT abs(-9223372036854775808)", "SQLite says: integer overflow"),
        ("SELECT ?", "has a placeholder"),
        ("SELECT :seed", "has a placeholder"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT \0 1", "SQLite says"),
        ("SELECT '\udcff'", "is not valid UTF-8"),
    ],
)
def test_a_bad_query_is_one_sentence(query, sentence, runs):
    with Ledger(runs / "ledger.sqlite", read_only=True) as ledger:
        with pytest.raises(ValueError) as refused, select(ledger, query) as result:
            list(result)
        assert sentence in str(refused.value)
        assert len(ledger.runs()) == 2


def test_an_error_in_a_late_row_is_one_sentence_too(runs):
    query = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        "SELECT CASE WHEN i > 2500 THEN abs(-9223372036854775808) ELSE i END FROM n"
    )
    with Ledger(runs / "ledger.sqlite", read_only=True) as ledger, select(ledger, query) as result:
        with pytest.raises(ValueError, match="integer overflow"):
            list(result)
        assert result.count >= 1000


def test_without_a_query_the_tables_are_shown_with_what_they_mean(sql):
    code, out, _, _ = sql()
    lines = out.splitlines()
    assert code == 0 and "  seconds      REAL     its share of the round's time" in lines
    assert any(line.startswith("scores (table): What the best checkpoint scored") for line in lines)
    assert any(line.startswith("asked_questions (view): Every asked question") for line in lines)
    assert any(line.split()[:3] == ["ending", "TEXT", "right:"] for line in lines)
    tables = {table["name"]: table for table in json.loads(sql("--json")[1])}
    assert tables["repeats"]["kind"] == "view" and tables["runs"]["comment"]
    assert tables["scores"]["columns"][2] == {
        "name": "value", "type": "REAL", "comment": "NULL: not a number",
    }  # fmt: skip
    assert "needs a query" in str(sql("--csv")[3])


def test_every_table_and_nearly_every_column_is_explained(runs):
    with Ledger(runs / "ledger.sqlite", read_only=True) as ledger:
        tables = schema_docs(ledger)
        with select(ledger, "SELECT count(*) FROM sqlite_master WHERE type <> 'index'") as result:
            assert list(result) == [(len(tables),)]
    assert all(table.comment and table.columns for table in tables)
    asked = next(table for table in tables if table.name == "asked")
    assert [c.name for c in asked.columns if not c.comment] == ["search_id", "source_id"]


def test_a_ledger_of_version_1_can_be_asked(tmp_path):
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.executescript(
        "CREATE TABLE runs (id, seed); CREATE TABLE scores (run_id); PRAGMA user_version = 1"
    )
    connection.close()
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        assert [table.name for table in schema_docs(ledger)] == ["runs", "scores"]
        refused = pytest.raises(ValueError, match="no such table: asked; known: runs, scores")
        with refused, select(ledger, "SELECT * FROM asked"):
            raise AssertionError("was answered")


def test_a_wide_table_becomes_records_on_a_terminal_and_stays_lines_in_a_pipe():
    rows = [("nopretrain/run1", 5, None), ("東京" * 10, 12, "x")]
    wide = list(table_lines(["run", "step", "answer"], rows, None))
    assert [line.split() for line in wide] == [
        ["run", "step", "answer"], ["nopretrain/run1", "5", "-"], ["東京" * 10, "12", "x"],
    ]  # fmt: skip
    # A character of two cells takes two.
    assert len({cell_len(line[: line.rindex("  ")]) for line in wide}) == 1
    assert list(table_lines(["run", "step", "answer"], rows, 60)) == wide
    assert list(table_lines(["run", "step", "answer"], rows, 40)) == [
        "row 1", "  run     nopretrain/run1", "  step    5", "  answer  -",
        "row 2", f"  run     {'東京' * 10}", "  step    12", "  answer  x",
    ]  # fmt: skip


def test_many_rows_are_aligned_block_by_block():
    rows = ((10**i if i < 9 else 1,) for i in range(BLOCK + 2))
    lines = list(table_lines(["n"], rows, None))
    assert len(lines) == BLOCK + 3 and len({len(line) for line in lines}) == 1


def test_a_missing_ledger_is_an_error(tmp_path):
    result = CliRunner().invoke(ledger_app, ["sql", "SELECT 1", "--runs", str(tmp_path)])
    assert isinstance(result.exception, FileNotFoundError)
    assert f"`qa-research runs scan --runs {tmp_path}` makes one" in str(result.exception)


@pytest.mark.slow
def test_a_query_without_end_stops_at_ctrl_c(runs):
    command = "from qa_research.cli.ledger import ledger_app; ledger_app()"
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    query = f"SELECT count(*) FROM ({numbers})"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "sql", query, "--runs", str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert process.returncode in (1, 130) and out == b""
