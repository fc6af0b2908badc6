"""Run directories written by hand, like those of trainings, and what other processes do with them."""

import json
import os
from collections.abc import Callable, Collection
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml

from qa_research.ledger.runs import Ledger
from qa_research.runs.listing import list_runs

NOBODY = 65534

CONFIG: dict[str, Any] = {
    "study": "nopretrain",
    "seed": 1,
    "model": {"name": "bert_tiny", "weights": "random", "lr": 1e-3, "layers": [0, -1]},
    "data": {"name": "builtin", "batch_size": 32, "num_workers": 0},
    "paths": {"runs": "runs"},
}


def record_of(number: int, **changes: Any) -> dict[str, Any]:
    """The run.json of a finished run; a value of None removes the key."""
    record = {
        "id": f"{number:032x}",
        "status": "finished",
        "study": "nopretrain",
        "seed": number,
        "started": f"2025-11-{number:02d}T07:35:00+00:00",
        "finished": f"2025-11-{number:02d}T07:37:10+00:00",
        "command": ["qa-research", "train", f"seed={number}"],
        "data": "builtin",
        "fingerprints": {"train": "aa" * 32, "validation": "bb" * 32, "weights": "cc" * 32},
        "questions": {"train": 2000, "validation": 200},
        "versions": {"python": "3.11.7", "torch": "2.14.1"},
        "git": {"commit": "0123456789abcdef", "modified": False},
        "steps": 1000 + number,
        "train_s": 62.5,
        "validation_s": 45.0,
        "best": {"val/loss": 1.5 - number / 10, "val/exact_match": 60.0 + number, "val/f1": 70.25},
        "best_step": 900,
    }
    return {key: value for key, value in (record | changes).items() if value is not None}


def running(number: int) -> dict[str, Any]:
    """The run.json of a run that has not validated yet."""
    unknown = ("finished", "steps", "train_s", "validation_s", "best", "best_step")
    return record_of(number, status="running", **dict.fromkeys(unknown))


def write_run(
    runs: Path,
    number: int,
    right: list[float] | None = None,
    config: dict[str, Any] | None = None,
    record: dict[str, Any] | None = None,
    chose: Collection[int] | None = None,
    validations: int = 0,
) -> Path:
    """A run's directory; `right` are exact match and F1 of its validation questions.

    `chose`: which of them chose the best weights (None: all, as version 0.2 and before have it).
    """
    record = record or record_of(number)
    config = CONFIG | {"seed": number, "study": record["study"]} | (config or {})
    directory = runs / record["study"] / f"bert_tiny-random-s{number}-{number:08x}"
    (directory / "checkpoints").mkdir(parents=True)
    (directory / "run.json").write_text(json.dumps(record))
    (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for name, size in (("best", 3000), ("last", 9000), ("step-000050", 3000)):
        (directory / "checkpoints" / f"{name}.ckpt").write_bytes(bytes(size))
    if right is not None:
        rows = [
            {"id": f"q{i}", "kind": "lookup", "prediction": "x", "exact_match": value, "f1": value}
            | {"probability": 0.5, "null_odds": None}
            | ({} if chose is None else {"chose": i in chose})
            for i, value in enumerate(right)
        ]
        (directory / "predictions").mkdir()
        (directory / "predictions" / "validation.json").write_text(json.dumps(rows))
    if validations:
        # Each follows a row of the training.
        rows = [f"0,{i},0.5,\n0,{i},,0.5\n" for i in range(validations)]
        (directory / "metrics.csv").write_text("epoch,step,train/loss,val/f1\n" + "".join(rows))
    return directory


def fill_ledger(
    path: Path, worker: int, writes: int, reopen: bool, start: Any, errors: Any
) -> None:
    """Write runs one by one, as a process among others; puts what went wrong, or nothing."""
    start.wait()
    try:
        ledger = Ledger(path)
        for i in range(worker * writes, (worker + 1) * writes):
            if reopen:
                ledger.close()
                ledger = Ledger(path)
            ledger.write_run(path.parent / "study" / f"run{i}", record_of(1, id=str(i)), CONFIG)
        ledger.close()
    except Exception as error:
        errors.put(repr(error))
        raise
    errors.put("")


def make_ledgers(folder: Path, ledgers: int, start: Any, errors: Any) -> None:
    """Create ledgers one by one, each at the same moment as other processes do."""
    refused = []
    for i in range(ledgers):
        start.wait()
        try:
            Ledger(folder / f"{i}.sqlite").close()
        except OSError as error:
            refused.append(str(error))
    errors.put(refused)


def without_rights(action: Callable[[Path], Any], path: Path) -> Any:
    """What `action(path)` returns or raises in a process that is not root."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_as_nobody, (action, path))


def _as_nobody(action: Callable[[Path], Any], path: Path) -> Any:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        return action(path)
    except OSError as error:
        return error


def ids_in_ledger(path: Path) -> list[str]:
    """Read a ledger."""
    with Ledger(path, read_only=True) as ledger:
        return sorted(entry.id for entry in ledger.runs())


def forget_a_run(path: Path) -> None:
    """Write to a ledger."""
    with Ledger(path) as ledger:
        ledger.remove("1")


def names_in_list(runs: Path) -> tuple[list[str], list[str]]:
    """The runs of a listing with their status, and its notes."""
    listing = list_runs(runs)
    return [f"{run.entry.name} {run.status}" for run in listing.runs], listing.notes
