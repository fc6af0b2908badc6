"""Run directories as what they are worth to a person: found, read, measured, removed.

A run's run.json is the truth; `scan` makes the ledger, its index, again from all of them.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from qa_research.console import tracked
from qa_research.ledger.runs import LEDGER, Ledger, RunEntry, entry_of
from qa_research.runs.directory import find_run, is_held, lock, read_config, read_record

# What may be true of a run whose run.json says running.
KILLED, UNCLEAR = "killed", "running?"
_REMOVED = ".removed"


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found: how many runs, which are left out and why, which are no longer there."""

    found: int
    damaged: list[str]
    gone: list[str]


def find(run: str, runs: Path) -> Path:
    """The directory of a run, by a path or a part of its name that only it has.

    Raises:
        FileNotFoundError: no run fits, or only one that the ledger still knows.
        ValueError: several do.
    """
    try:
        return find_run(run, runs)
    except FileNotFoundError:
        if not has_content(ledger := runs.expanduser() / LEDGER):
            raise
        with Ledger(ledger, read_only=True) as opened:
            names = [entry.name for entry in opened.runs() if not entry.directory.exists()]
        for name in names:
            if run in name:
                raise FileNotFoundError(
                    f"{name} is in the ledger, but its directory is gone; `qa-research runs scan` "
                    "drops it"
                ) from None
        raise


def run_directories(runs: Path) -> list[Path]:
    """Every `<runs>/<study>/<run>` with a run.json.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not runs.is_dir():
        raise FileNotFoundError(f"there is no folder {runs} of runs; --runs DIR looks elsewhere")
    found = (path.parent for path in runs.glob("*/*/run.json"))
    return sorted(d for d in found if not d.parent.name.startswith(".") and d.name[0] != ".")


def has_content(ledger: Path) -> bool:
    """Whether there is a file of more than 0 bytes, or something that is no file."""
    return ledger.exists() and (not ledger.is_file() or ledger.stat().st_size > 0)


def readable_entries(runs: Path, damaged: list[str]) -> Iterator[RunEntry]:
    """The entries of all runs; why one has none is added to `damaged`.

    Looks at the folder only when asked for the first entry: by then the ledger waits for it.
    """
    seen: dict[str, RunEntry] = {}
    for directory in tracked(run_directories(runs), "Reading runs"):
        try:
            entry = read_entry(directory)
        except (ValueError, OSError) as error:
            damaged.append(f"{directory.parent.name}/{directory.name}: {error}")
            continue
        if first := seen.get(entry.id):
            damaged.append(
                f"{entry.name}: it is a copy of {first.name} (both have the id {entry.id})"
            )
            continue
        seen[entry.id] = entry
        yield entry


def scan(runs: Path) -> Scanned:
    """Make the ledger again from every `<runs>/<study>/<run>/run.json`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the ledger is damaged, foreign, or of a newer version.
        PermissionError: it cannot be written.
    """
    run_directories(runs)
    damaged: list[str] = []
    with Ledger(runs / LEDGER) as ledger:
        before = ledger.runs()
        ledger.replace_all(readable_entries(runs, damaged))
        after = {entry.id for entry in ledger.runs()}
    gone = [e.name for e in before if e.id not in after and not e.directory.exists()]
    return Scanned(len(after), damaged, gone)


def remove(directory: Path) -> None:
    """Delete a run: its directory and its entry in the ledger beside it.

    Raises:
        ValueError: a process is training it at this moment.
        OSError: not all of it could be deleted.
    """
    directory = Path(os.path.abspath(directory))
    if directory.is_symlink():
        raise ValueError(f"{directory} is a link to {directory.resolve()}; remove both by hand")
    ledger = directory.parent.parent / LEDGER
    with lock(directory), Ledger(ledger) if has_content(ledger) else nullcontext() as opened:
        # Away at once and as a whole, so that being killed half way leaves no half run.
        bin_ = directory.parent / _REMOVED
        bin_.mkdir(exist_ok=True)
        doomed = bin_ / f"{directory.name}-{uuid.uuid4().hex[:8]}"
        directory.rename(doomed)
        if opened:
            # By its place: a damaged run.json has no id to tell.
            for entry in opened.runs():
                if entry.directory == directory:
                    opened.remove(entry.id)
        # Also what an earlier removal left that was killed.
        shutil.rmtree(bin_, ignore_errors=True)
    if doomed.exists():
        raise OSError(f"{directory.name} is no run any more, but {doomed} could not be deleted")


def read_entry(directory: Path) -> RunEntry:
    """A run as its own run.json and config.yaml have it.

    Raises:
        ValueError, OSError: one of the two is missing or damaged.
    """
    try:
        record = read_record(directory)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{directory / 'run.json'} is no valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{directory / 'run.json'} is missing or holds no JSON object")
    return entry_of(directory, record, read_config(directory))


def live_status(entry: RunEntry) -> str:
    """The status of run.json, but `killed` where it says running and no process holds the run."""
    if entry.status != "running":
        return entry.status
    try:
        return entry.status if is_held(entry.directory) else KILLED
    except OSError:
        # Asking takes the right to write the lock's file.
        return UNCLEAR


def size_by_part(directory: Path) -> dict[str, int]:
    """Bytes of each file and folder in a run's directory, the largest first. Links count nothing."""
    sizes = {part.name: _size(part) for part in directory.iterdir()}
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def checkpoints_of(directory: Path) -> list[str]:
    """The checkpoints of a run as `--checkpoint` takes them: best and last, then steps in order."""
    names = [path.stem for path in (directory / "checkpoints").glob("[!.]*.ckpt")]
    steps = sorted(int(name[5:]) for name in names if name.startswith("step-"))
    others = sorted(name for name in names if not name.startswith("step-"))
    return others + [str(step) for step in steps]


def _size(path: Path) -> int:
    total = 0
    folders = [path]
    while folders:
        place = folders.pop()
        try:
            if place.is_symlink():
                continue
            if place.is_dir():
                folders += place.iterdir()
            else:
                total += place.stat().st_size
        except FileNotFoundError:
            # A training replaces its files while it runs.
            continue
    return total
