"""All runs in a list, from the ledger. Where the ledger may be out of date, run.json is read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.ledger.database import scan_command
from qa_research.ledger.runs import LEDGER, Ledger, RunEntry
from qa_research.runs.directory import first_names
from qa_research.runs.store import (
    has_content,
    live_status,
    read_entry,
    readable_entries,
    run_directories,
    scan,
    size_by_part,
)
from qa_research.tasks.earlier_configs import upgraded
from qa_research.tasks.task import Metric, better
from qa_research.text import did_you_mean

DAMAGED, GONE = "damaged", "gone"
_PLAIN = ("started", "run", "status", "steps", "size")


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run with its current status, which may also be killed, gone, damaged, or running? (unknown)."""

    entry: RunEntry
    status: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All runs in the ledger, and a note about each that is not."""

    runs: list[ListedRun]
    notes: list[str]


def list_runs(runs: Path) -> Listing:
    """Every run in the ledger of the folder `runs`; a ledger that does not exist yet is created first.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the ledger is damaged, foreign, or of a newer version.
    """
    on_disk = run_directories(runs)
    ledger = runs / LEDGER
    notes: list[str] = []
    damaged: list[str] = []
    if not has_content(ledger) and on_disk:
        try:
            damaged += scan(runs).damaged
        except PermissionError:
            notes.append(f"{runs} is read-only, so this list was read from each run.json")
            entries = list(readable_entries(runs, damaged))
            notes += [f"skipped: {reason}" for reason in damaged]
            return Listing([_with_current_status(entry) for entry in entries], notes)
        notes += [f"skipped: {reason}" for reason in damaged]
    if not has_content(ledger):
        return Listing([], notes)
    with Ledger(ledger, read_only=True) as opened:
        entries = opened.runs()
    known = {entry.directory for entry in entries}
    unknown = [d for d in on_disk if Path(os.path.abspath(d)) not in known]
    if unknown and not notes:
        notes.append(
            f"not in the ledger: {first_names(unknown)}; {scan_command(ledger)} adds them, or says why "
            "it cannot"
        )
    return Listing([_with_current_status(entry) for entry in entries], notes)


def sorted_runs(runs: Sequence[ListedRun], key: str) -> list[ListedRun]:
    """The runs by `key`: started (latest first), run, status, steps, size, or a score (best first).

    Runs without a value come last.

    Raises:
        ValueError: there is no column `key`; the message names the closest one.
    """
    scores = set(headline(runs)).union(*(run.entry.scores for run in runs))
    if key not in _PLAIN and key not in scores:
        raise ValueError(f"--sort {key} is not a column{_nearest(key, [*_PLAIN, *scores])}")
    metrics = [metric for run in runs for metric in _metrics(run)]
    is_score = key not in _PLAIN
    ascending = key in ("run", "status") or (is_score and better(key, metrics) == "lower")
    with_value = [run for run in runs if _value(run, key) is not None]
    without = [run for run in runs if _value(run, key) is None]
    return sorted(with_value, key=lambda run: _value(run, key), reverse=not ascending) + without


def _value(run: ListedRun, key: str) -> Any:
    entry = run.entry
    columns = {
        "started": entry.started,
        "run": entry.name,
        "status": run.status,
        "steps": entry.steps,
        "size": run.size_bytes,
    }
    return columns[key] if key in columns else entry.scores.get(key)


def headline(runs: Sequence[ListedRun]) -> list[str]:
    """The metrics of these runs' tasks, in their order, each once."""
    return list(dict.fromkeys(metric["name"] for run in runs for metric in _metrics(run)))


def _metrics(run: ListedRun) -> list[Metric]:
    # The ledger may hold a config that an earlier version wrote.
    metrics: list[Metric] = upgraded(run.entry.config)["task"]["metrics"]
    return metrics


def _nearest(key: str, known: Sequence[str]) -> str:
    # The score on examples that chose nothing comes first.
    ending = sorted((name for name in known if name.endswith(f"/{key}")), reverse=True)
    return f"; did you mean {ending[0]}?" if ending else did_you_mean(key, known)


def _with_current_status(entry: RunEntry) -> ListedRun:
    try:
        size = sum(size_by_part(entry.directory).values())
    except FileNotFoundError:
        return ListedRun(entry, GONE, 0)
    if entry.status == "finished":
        return ListedRun(entry, entry.status, size)
    # The ledger may be out of date: the training was killed between writing the two, or the disk is full.
    try:
        entry = read_entry(entry.directory)
    except (ValueError, OSError):
        return ListedRun(entry, DAMAGED, size)
    return ListedRun(entry, live_status(entry), size)
