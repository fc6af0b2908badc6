"""All runs at a glance, from the ledger; where that may be behind a run.json, the run.json is read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.ledger.runs import LEDGER, Ledger, RunEntry
from qa_research.runs.store import (
    has_content,
    live_status,
    read_entry,
    readable_entries,
    run_directories,
    scan,
    size_by_part,
)
from qa_research.tasks.earlier import upgraded
from qa_research.tasks.task import Metric
from qa_research.text import did_you_mean

DAMAGED, GONE = "damaged", "gone"
_PLAIN = ("started", "run", "status", "steps", "size")


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as it stands now. `status` is also killed, gone, damaged, or running? (nobody can tell)."""

    entry: RunEntry
    status: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All runs that the ledger knows, and what there is to say about the others."""

    runs: list[ListedRun]
    notes: list[str]


def list_runs(runs: Path) -> Listing:
    """Every run in the ledger of the folder `runs`; where there is no ledger yet, it is made first.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the ledger is damaged, foreign, or of a newer version.
    """
    on_disk = run_directories(runs)
    ledger = runs / LEDGER
    notes: list[str] = []
    if not has_content(ledger) and on_disk:
        try:
            notes += [f"left out: {reason}" for reason in scan(runs).damaged]
        except PermissionError:
            notes.append(f"{runs} is read-only, so this list was read from each run.json")
            damaged: list[str] = []
            entries = list(readable_entries(runs, damaged))
            return Listing(
                [_as_it_stands(e) for e in entries], notes + [f"left out: {d}" for d in damaged]
            )
    if not has_content(ledger):
        return Listing([], notes)
    with Ledger(ledger, read_only=True) as opened:
        entries = opened.runs()
    known = {entry.directory for entry in entries}
    unknown = [d for d in on_disk if Path(os.path.abspath(d)) not in known]
    if unknown and not notes:
        names = ", ".join(f"{d.parent.name}/{d.name}" for d in unknown[:8])
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        notes.append(
            f"not in the ledger: {names}{more}; `qa-research runs scan` reads them, or says why not"
        )
    return Listing([_as_it_stands(e) for e in entries], notes)


def sorted_runs(runs: Sequence[ListedRun], key: str) -> list[ListedRun]:
    """The runs by `key`: started (latest first), run, status, steps, size, or a score (best first).

    Runs without a value come last.

    Raises:
        ValueError: nothing is called `key`; the nearest name is offered.
    """
    scores = set(headline(runs)).union(*(run.entry.scores for run in runs))
    if key not in _PLAIN and key not in scores:
        raise ValueError(f"--sort {key} is not a column{_nearest(key, [*_PLAIN, *scores])}")
    higher = [m["name"] for run in runs for m in _metrics(run) if m["better"] == "higher"]
    is_score = key not in _PLAIN
    ascending = key in ("run", "status") or (is_score and not key.startswith(tuple(higher)))
    with_value = [run for run in runs if _value(run, key) is not None]
    without = [run for run in runs if _value(run, key) is None]
    return sorted(with_value, key=lambda run: _value(run, key), reverse=not ascending) + without


def _value(run: ListedRun, key: str) -> Any:
    entry = run.entry
    plain = (entry.started, entry.name, run.status, entry.steps, run.size_bytes)
    return plain[_PLAIN.index(key)] if key in _PLAIN else entry.scores.get(key)


def headline(runs: Sequence[ListedRun]) -> list[str]:
    """The scores that the tasks of these runs want shown, in their order."""
    return list(dict.fromkeys(metric["name"] for run in runs for metric in _metrics(run)))


def _metrics(run: ListedRun) -> list[Metric]:
    # The ledger may have the config as an earlier version wrote it.
    metrics: list[Metric] = upgraded(run.entry.config)["task"]["metrics"]
    return metrics


def _nearest(key: str, known: Sequence[str]) -> str:
    ending = [name for name in known if name.endswith(f"/{key}")]
    return f"; did you mean {ending[0]}?" if ending else did_you_mean(key, known)


def _as_it_stands(entry: RunEntry) -> ListedRun:
    try:
        size = sum(size_by_part(entry.directory).values())
    except FileNotFoundError:
        return ListedRun(entry, GONE, 0)
    if entry.status == "finished":
        return ListedRun(entry, entry.status, size)
    # It may have gone on without its ledger: killed between the two, or on a full disk.
    try:
        entry = read_entry(entry.directory)
    except (ValueError, OSError):
        return ListedRun(entry, DAMAGED, size)
    return ListedRun(entry, live_status(entry), size)
