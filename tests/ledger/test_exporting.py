import csv
import json
import math
import os
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from qa_research.cli.ledger import ledger_app
from qa_research.ledger import exporting
from qa_research.ledger.asked import AskedQuestion, Source, State, start_search, write_round
from qa_research.ledger.runs import Ledger
from qa_research.text import csv_line
from tests.fake_runs import CONFIG, record_of

STATE = State("a" * 32, "nopretrain/run1", 50, "b" * 64, False)
SOURCE = Source("builtin", "validation", "c" * 64, 5000)
GOLDS = ('Ms "Lund", B', "Lund\nB", "")


def fill(path: Path, questions: int = 2) -> None:
    """A run, and one search that asked `questions` and one more that failed."""
    rows = [
        AskedQuestion(
            place=i,
            round=0,
            number=i,
            id=f"q{i}",
            kind="lookup",
            question='Who, as it were, teaches "B"?\nSay it: déjà 東京',
            golds=GOLDS if i else (),
            status="answered",
            counted=True,
            answer="Ms Lund" if i else "",
            exact_match=bool(i),
            f1=0.1 + 0.2,
            first_gold=False,
            char_start=3 * i,
            char_end=7 + i,
            score=-1e-12 * i,
            probability=1 / 3,
            seconds=0.25,
        )
        for i in range(questions)
    ]
    failed = AskedQuestion(
        place=questions,
        round=1,
        number=questions,
        status="failed",
        counted=False,
        reason="ValueError: x, y",
    )
    with Ledger(path) as ledger:
        ledger.write_run(path.parent / "nopretrain" / "run1", record_of(1), CONFIG)
        search = start_search(ledger, STATE, SOURCE, 1, "right")
        write_round(ledger, search, [*rows, failed], "right")


@pytest.fixture
def runs(tmp_path) -> Path:
    folder = tmp_path / "runs"
    fill(folder / "ledger.sqlite")
    return folder


@pytest.fixture
def export(runs):
    """The verb, on the runs: (exit code, stdout, error)."""

    def run(*arguments: str):
        result = CliRunner().invoke(ledger_app, ["export", *arguments, "--runs", str(runs)])
        return result.exit_code, result.stdout, result.exception

    return run


def stored(runs: Path, table: str = "asked_questions") -> list[dict]:
    connection = sqlite3.connect(runs / "ledger.sqlite")
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    connection.close()
    return found


def test_csv_has_every_asked_question_with_all_that_is_known(export, runs, tmp_path):
    file = tmp_path / "asked.csv"
    code, out, _ = export(str(file))
    assert (code, out) == (0, f"3 rows of asked_questions in {file}\n")
    with file.open(encoding="utf-8", newline="") as stream:
        read = list(csv.DictReader(stream, strict=True))
    rows = stored(runs)
    assert len(read) == len(rows) == 3 and list(read[0]) == list(rows[0])
    for line, row in zip(read, rows, strict=True):
        for name, value in row.items():
            if isinstance(value, float):
                assert float(line[name]) == value
            else:
                assert line[name] == ("" if value is None else str(value))
    assert json.loads(read[1]["golds"]) == list(GOLDS) and read[1]["exact_match"] == "1"
    assert file.read_bytes().startswith(b"run,run_id,step,weights,pretrained,")
    assert file.read_bytes().count(b"\r\n") == 4


def test_csv_distinguishes_null_and_an_empty_text(export, tmp_path):
    export(str(tmp_path / "asked.csv"))
    empty, _, failed = (tmp_path / "asked.csv").read_bytes().decode().split("\r\n")[1:4]
    # No answer is "", and a question that failed has none: reason, counted, answer, exact_match ...
    assert ',answered,,1,"",0,0.30000000000000004,' in empty
    assert ',failed,"ValueError: x, y",0,,,,,,,,,' in failed


@given(
    st.lists(st.one_of(st.none(), st.text(), st.integers(), st.floats(allow_nan=False)), min_size=2)
)
def test_a_csv_line_is_read_as_it_was_written(values):
    # Python cannot read a NUL in old versions, nor a lone surrogate be written.
    values = [v.replace("\0", "") if isinstance(v, str) else v for v in values]
    (read,) = csv.reader([csv_line(values)], strict=True)
    assert read == ["" if value is None else str(value) for value in values]
    assert csv_line([None, ""]) == ',""\r\n'


def test_parquet_has_types(export, runs, tmp_path):
    file = tmp_path / "asked.parquet"
    code, out, _ = export(str(file))
    assert (code, out) == (0, f"3 rows of asked_questions in {file}\n")
    table = pq.read_table(file)
    types = {field.name: field.type for field in table.schema}
    for name in (
        "step",
        "search",
        "seed",
        "draw",
        "round",
        "place",
        "question_index",
        "char_start",
    ):
        assert types[name] == pa.int64()
    for name in ("f1", "score", "probability", "seconds"):
        assert types[name] == pa.float64()
    for name in ("pretrained", "counted", "exact_match", "first_gold"):
        assert types[name] == pa.bool_()
    assert types["answer"] == types["run"] == types["status"] == pa.string()
    assert types["golds"].value_type == pa.string()
    rows = stored(runs)
    assert table.column_names == list(rows[0])
    for read, row in zip(table.to_pylist(), rows, strict=True):
        golds = None if row["golds"] is None else json.loads(row["golds"])
        assert read == row | {"golds": golds}
    assert [row["answer"] for row in table.to_pylist()] == ["", "Ms Lund", None]
    assert [row["exact_match"] for row in table.to_pylist()] == [False, True, None]


def test_counts_of_a_view_are_numbers_not_flags(export, tmp_path):
    export(str(tmp_path / "counts.parquet"), "--table", "search_counts")
    schema = pq.read_schema(tmp_path / "counts.parquet")
    for name in ("asked", "counted", "correct", "first_gold", "failed"):
        assert schema.field(name).type == pa.int64()
    assert schema.field("f1").type == schema.field("seconds").type == pa.float64()
    assert pq.read_table(tmp_path / "counts.parquet").to_pylist()[0]["counted"] == 2


def test_a_table_without_rows_has_its_columns(export, tmp_path):
    for suffix in ("csv", "parquet"):
        code, _, _ = export(str(tmp_path / f"imports.{suffix}"), "--table", "imports")
        assert code == 0
    assert (tmp_path / "imports.csv").read_bytes() == b"id,file,sha256,imported,notes\r\n"
    assert pq.read_table(tmp_path / "imports.parquet").num_rows == 0
    export(str(tmp_path / "kinds.parquet"), "--table", "repeats")
    assert pq.read_schema(tmp_path / "kinds.parquet").names[-1] == "times"


def test_all_tables_go_into_a_directory(export, runs, tmp_path):
    folder = tmp_path / "new" / "out"
    code, out, _ = export(str(folder), "--all", "--format", "parquet", "--json")
    found = {entry["table"]: entry for entry in json.loads(out)}
    assert code == 0 and {"runs", "scores", "asked", "asked_questions", "state_counts"} <= set(
        found
    )
    for table, entry in found.items():
        assert entry["file"] == str(folder / f"{table}.parquet")
        assert entry["rows"] == len(stored(runs, table)) == pq.read_table(entry["file"]).num_rows
    assert pq.read_table(folder / "runs.parquet").to_pylist()[0]["git_modified"] is False
    code, _, error = export(str(folder), "--all", "--format", "parquet")
    assert code == 1 and isinstance(error, FileExistsError) and "--force" in str(error)
    assert export(str(folder), "--all")[0] == 0 and (folder / "runs.csv").exists()


def test_one_table_as_json(export, tmp_path):
    code, out, _ = export(str(tmp_path / "s.csv"), "--table", "scores", "--json")
    assert code == 0
    assert json.loads(out) == {"table": "scores", "rows": 3, "file": str(tmp_path / "s.csv")}


def test_a_file_is_replaced_only_when_forced(export, tmp_path):
    file = tmp_path / "asked.csv"
    file.write_text("mine")
    code, _, error = export(str(file))
    assert code == 1 and str(error) == f"{file} already exists; --force replaces it"
    assert file.read_text() == "mine"
    assert export(str(file), "--force")[0] == 0 and file.read_text().startswith("run,")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["asked.csv", "runs"]


def test_force_replaces_files_and_follows_nothing(export, tmp_path):
    target = tmp_path / "mine.csv"
    target.write_text("mine")
    link, pipe = tmp_path / "link.csv", tmp_path / "pipe.csv"
    link.symlink_to(target)
    os.mkfifo(pipe)
    for file in (link, pipe, Path("/dev/null")):
        code, _, error = export(str(file), "--format", "csv", "--force")
        assert code == 1 and "is a link or a device, and --force replaces only files" in str(error)
    assert target.read_text() == "mine" and link.is_symlink() and pipe.is_fifo()


def test_a_failure_leaves_what_was_there(runs, tmp_path, monkeypatch):
    file = tmp_path / "asked.csv"
    file.write_text("mine")

    def full(path):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with Ledger(runs / "ledger.sqlite", read_only=True) as ledger, pytest.raises(OSError):
        exporting.export_table(ledger, "asked_questions", file, "csv", force=True)
    assert file.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["asked.csv", "runs"]


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (["a.txt"], ValueError, "a.txt is not clear from its suffix; use .csv or .parquet"),
        (
            ["a.txt", "--format", "xls"],
            ValueError,
            "--format must be csv or parquet, got 'xls'",
        ),
        (
            ["a.csv", "--format", "parquet"],
            ValueError,
            "--format parquet contradicts the suffix of",
        ),
        (["a.csv", "--table", "ask"], ValueError, "did you mean asked?"),
        (["a.csv", "--table", "zzz"], ValueError, "known: asked, asked_questions, call_sequence"),
        (["a.csv", "--table", "sqlite_master"], ValueError, "has no such table"),
        (["none/a.csv"], FileNotFoundError, "there is no directory"),
        (["runs/ledger.sqlite", "--format", "csv", "--force"], ValueError, "is the ledger itself"),
        (["runs", "--format", "csv"], IsADirectoryError, "write every table with --all"),
        (["out", "--all", "--table", "runs"], ValueError, "--table runs cannot be chosen"),
        (["runs/ledger.sqlite", "--all"], FileExistsError, "is not a directory"),
    ],
)
def test_bad_requests_are_refused(export, tmp_path, arguments, kind, sentence):
    target, *options = arguments
    code, out, error = export(str(tmp_path / target), *options)
    assert (code, out) == (1, "") and isinstance(error, kind) and sentence in str(error)
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


def test_without_a_ledger_there_is_nothing_to_export(tmp_path):
    result = CliRunner().invoke(
        ledger_app, ["export", str(tmp_path / "a.csv"), "--runs", str(tmp_path / "none")]
    )
    assert isinstance(result.exception, FileNotFoundError) and "there is no ledger" in str(
        result.exception
    )


def test_many_rows_are_written_block_by_block(tmp_path, monkeypatch):
    fill(tmp_path / "ledger.sqlite", 2_500)
    monkeypatch.setattr(exporting, "BLOCK", 1_000)
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        for suffix in ("csv", "parquet"):
            file = tmp_path / f"asked.{suffix}"
            done = exporting.export_table(ledger, "asked_questions", file, suffix, force=False)
            assert done.rows == 2_501
    with pq.ParquetFile(tmp_path / "asked.parquet") as parquet:
        assert parquet.num_row_groups == 3
        places = parquet.read(["place"]).column("place").to_pylist()
    with (tmp_path / "asked.csv").open(encoding="utf-8", newline="") as stream:
        assert [int(row["place"]) for row in csv.DictReader(stream)] == places == list(range(2_501))


def test_a_score_that_is_not_a_number_is_null(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.write_run(tmp_path / "s" / "r", record_of(1, best={"val/loss": math.nan}), CONFIG)
        exporting.export_table(ledger, "scores", tmp_path / "s.parquet", "parquet", force=False)
    assert pq.read_table(tmp_path / "s.parquet").to_pylist()[0]["value"] is None
