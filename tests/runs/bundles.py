"""A run to bundle, what it was asked, and what a bundle or a folder holds."""

import zipfile
from pathlib import Path
from typing import Any

from qa_research.ledger.asked import AskedQuestion, Source, State, start_search, write_round
from qa_research.ledger.runs import Ledger
from qa_research.runs.store import read_entry
from tests.fake_runs import record_of, write_run

RIGHT = [1.0, 0.0, 1.0, 1.0]


def a_run(runs: Path, number: int = 1, **record: Any) -> Path:
    directory = write_run(runs, number, RIGHT, record=record_of(number, **record), validations=3)
    (directory / "train.log").write_text("2025-11-01 07:35:00 step 1\n")
    (directory / "architecture.json").write_text("[]")
    (directory / "answers.zarr" / "validation").mkdir(parents=True)
    (directory / "answers.zarr" / "validation" / "zarr.json").write_text("{}")
    (directory / "model").mkdir()
    (directory / "model" / "config.json").write_text('{"hidden_size": 16}')
    return directory


def ask(directory: Path, ledger: Path, reason: str | None = None) -> None:
    """Ask a run one question, which it answers, and one on which it fails."""
    source = Source("builtin", "validation", "ab" * 32, 200)
    state = State(read_entry(directory).id, "nopretrain/x", 900, "cd" * 32, False)
    golds = ("Ms Lund",)
    right = {"answer": "Ms Lund", "exact_match": True, "f1": 1.0, "first_gold": True}
    asked = {"kind": "who", "question": "Who?", "golds": golds, "round": 0}
    failed = {"status": "failed", "counted": False, "reason": reason}
    rows = [
        AskedQuestion(place=0, number=7, status="answered", counted=True, id="a", **asked, **right),
        AskedQuestion(place=1, number=8, id="b", **asked, **failed),
    ]
    with Ledger(ledger) as opened:
        write_round(opened, start_search(opened, state, source, 1, "right"), rows, "right")


def asked_rows(ledger: Path) -> list[tuple[Any, ...]]:
    with Ledger(ledger, read_only=True) as opened, opened.reading() as connection:
        return [tuple(row) for row in connection.execute("SELECT * FROM asked_questions")]


def members(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def everything(folder: Path) -> dict[str, bytes]:
    paths = folder.rglob("*") if folder.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file()}
