"""A run to bundle, what it was asked, and what a bundle or a folder holds."""

import zipfile
from pathlib import Path
from typing import Any

from qa_research.ledger.asked import AskedQuestion, Source, State, start_search, write_round
from qa_research.ledger.runs import Ledger
from qa_research.ledger.stacks import (
    Frame,
    Recording,
    Sample,
    list_recordings,
    read_recording,
    write_recording,
)
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


def sample(directory: Path, ledger: Path, home: str = "/home/ada", **changes: Any) -> None:
    """Two ranks of a run, whose stacks name a file, a line of code and a command of somebody's home."""
    own = Frame(f"{Path(home).name}/train.py", 3, "<module>", f'main("{home}/squad.json")')
    waits = Frame("python3.11/threading.py", 331, "wait", "gotit = waiter.acquire(True, timeout)")
    samples = (
        Sample(0.25, "starting Python", ()),
        Sample(1.5, "forward", (own, waits), 3, True, 812.5, 1.25, ((waits,), (waits, waits))),
        Sample(2.0, "forward", (own, waits), 4, False, 812.5, 1.5, ((waits,),)),
    )
    known: dict[str, Any] = {
        "run_id": read_entry(directory).id,
        "run": "nopretrain/x",
        "started": "2025-11-01T07:35:00+00:00",
        "command": (f"{home}/lab/train.py", "seed=1"),
        "mean_s": 0.1,
        "seed": 5,
        "from_s": 0.0,
        "to_s": 2.125,
        "ending": "ended",
        "samples": samples,
        "facts": {"processors": 2, "threads": 1, "told": {"at": f"{home}/x"}},
    }
    with Ledger(ledger) as opened:
        for rank in (1, 0):
            write_recording(opened, Recording(**(known | {"rank": rank} | changes)))


def recordings(ledger: Path) -> list[Recording]:
    with Ledger(ledger, read_only=True) as opened:
        return [read_recording(opened, entry.number) for entry in list_recordings(opened)]


def asked_rows(ledger: Path) -> list[tuple[Any, ...]]:
    with Ledger(ledger, read_only=True) as opened, opened.reading() as connection:
        return [tuple(row) for row in connection.execute("SELECT * FROM asked_questions")]


def members(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def everything(folder: Path) -> dict[str, bytes]:
    paths = folder.rglob("*") if folder.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file()}
