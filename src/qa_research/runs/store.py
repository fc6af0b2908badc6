"""All runs on disk: found, read, measured, removed, and scanned into the ledger.

Each run.json is the truth; `scan` rebuilds the ledger, their index, from all of them.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.console import tracked
from qa_research.ledger.database import scan_command
from qa_research.ledger.runs import LEDGER, Ledger, RunEntry, entry_of
from qa_research.runs.directory import (
    find_run,
    is_held,
    lock,
    read_config,
    read_record,
    run_name,
    write_record,
)

# Further states of a run whose run.json says running.
KILLED, UNCLEAR = "killed", "running?"
_REMOVED = ".removed"


@dataclass(frozen=True, slots=True)
class ScanResult:
    """How many runs a scan found, why the `damaged` ones were skipped, and which no longer exist."""

    found: int
    damaged: list[str]
    gone: list[str]


def find(run: str, runs: Path, is_part_enough: bool = True) -> Path:
    """The directory of a run, given as `find_run` takes it.

    Raises:
        FileNotFoundError: no run matches, or only one in the ledger whose directory is gone.
        ValueError: several do.
    """
    try:
        return find_run(run, runs, is_part_enough)
    except FileNotFoundError:
        ledger = runs.expanduser() / LEDGER
        if not has_content(ledger):
            raise
        with Ledger(ledger, read_only=True) as opened:
            names = [entry.name for entry in opened.runs() if not entry.directory.exists()]
        for name in names:
            if run in name:
                raise FileNotFoundError(
                    f"{name} is in the ledger, but its directory is gone; {scan_command(ledger)} drops it"
                ) from None
        raise


def run_directories(runs: Path) -> list[Path]:
    """Every `<runs>/<study>/<run>` with a run.json.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not runs.is_dir():
        raise FileNotFoundError(
            f"there is no folder of runs {runs}; --runs DIR names another folder"
        )
    found = (path.parent for path in runs.glob("*/*/run.json"))
    return sorted(d for d in found if not d.parent.name.startswith(".") and d.name[0] != ".")


def has_content(ledger: Path) -> bool:
    """Whether there is a file of more than 0 bytes, or something other than a file."""
    return ledger.exists() and (not ledger.is_file() or ledger.stat().st_size > 0)


def readable_entries(runs: Path, damaged: list[str]) -> Iterator[RunEntry]:
    """The entries of all runs; a sentence for each run without one is added to `damaged`.

    Lists the folder only when asked for the first entry, so that a scan does so while it has the ledger
    locked, and misses no run that starts meanwhile.
    """
    seen: dict[str, RunEntry] = {}
    for directory in tracked(run_directories(runs), "Reading runs"):
        try:
            entry = read_entry(directory)
        except (ValueError, OSError) as error:
            damaged.append(f"{run_name(directory)}: {error}")
            continue
        if first := seen.get(entry.id):
            damaged.append(f"{entry.name} is a copy of {first.name} (both have the id {entry.id})")
            continue
        seen[entry.id] = entry
        yield entry


def scan(runs: Path) -> ScanResult:
    """Rebuild the ledger from every `<runs>/<study>/<run>/run.json`.

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
    return ScanResult(len(after), damaged, gone)


def remove(directory: Path) -> None:
    """Delete a run: its directory, and its entry in the ledger.

    Raises:
        ValueError: a process is training it, or it is a symbolic link.
        OSError: not all of it could be deleted.
    """
    directory = Path(os.path.abspath(directory))
    if directory.is_symlink():
        raise ValueError(
            f"{directory} is a symbolic link to {directory.resolve()}; remove both by hand"
        )
    ledger = directory.parent.parent / LEDGER
    with lock(directory), Ledger(ledger) if has_content(ledger) else nullcontext() as opened:
        # Renamed first, which is atomic: a removal that is killed leaves no half of a run.
        trash = directory.parent / _REMOVED
        trash.mkdir(exist_ok=True)
        renamed = trash / f"{directory.name}-{uuid.uuid4().hex[:8]}"
        directory.rename(renamed)
        if opened:
            # Found by its directory: a damaged run.json has no readable id.
            for entry in opened.runs():
                if entry.directory == directory:
                    opened.remove(entry.id)
        # Also deletes what an earlier removal left behind when it was killed.
        shutil.rmtree(trash, ignore_errors=True)
    if renamed.exists():
        raise OSError(
            f"{directory.name} was removed, but its files in {renamed} could not be deleted"
        )


def read_entry(directory: Path) -> RunEntry:
    """A run as its own run.json and config.yaml describe it.

    Raises:
        ValueError, OSError: one of the two is missing or damaged.
    """
    record = read_record(directory)
    if record is None:
        raise FileNotFoundError(f"{directory / 'run.json'} is missing")
    return entry_of(directory, record, read_config(directory))


def live_status(entry: RunEntry) -> str:
    """The status in run.json, but `killed` if that is running and no process holds the run's lock."""
    if entry.status != "running":
        return entry.status
    try:
        return entry.status if is_held(entry.directory) else KILLED
    except OSError:
        # Whether it is held can only be found out with permission to write the lock file.
        return UNCLEAR


def size_by_part(directory: Path) -> dict[str, int]:
    """Bytes of each file and folder in a run's directory, the largest first. Links count as 0."""
    sizes = {part.name: _size(part) for part in directory.iterdir()}
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def checkpoints_of(directory: Path) -> list[str]:
    """The checkpoints of a run as `--checkpoint` accepts them: best and last, then steps in order."""
    names = [path.stem for path in (directory / "checkpoints").glob("[!.]*.ckpt")]
    steps = sorted(int(name[5:]) for name in names if name.startswith("step-"))
    others = sorted(name for name in names if not name.startswith("step-"))
    return others + [str(step) for step in steps]


def _size(path: Path) -> int:
    """Bytes of a file, or of everything in a folder."""
    try:
        if path.is_symlink():
            return 0
        if path.is_dir():
            return sum(_size(part) for part in path.iterdir())
        return path.stat().st_size
    except FileNotFoundError:
        # A running training replaces its files.
        return 0


log = logging.getLogger(__name__)


def save_record(directory: Path, record: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write run.json, and the ledger's row; a ledger that cannot be written is only a warning.

    Creates a ledger in the folder that the config calls `paths.runs`, and nowhere else.
    """
    write_record(directory, record)
    path = ledger_path(directory)
    if not has_content(path) and not _is_at(config.get("paths", {}).get("runs"), path.parent):
        # The run was moved, and is resumed where it lies now: that place does not become a folder of runs.
        return
    try:
        with Ledger(path) as ledger:
            ledger.write_run(directory, record, config)
    except (OSError, ValueError) as error:
        log.warning(
            "Could not update the ledger (%s); rebuild it with %s", error, scan_command(path)
        )


def reindex(directory: Path) -> None:
    """Update the ledger's row of a run that was moved to `directory`."""
    record = read_record(directory)
    if record and (directory / "config.yaml").is_file():
        save_record(directory, record, read_config(directory))


def unindex(directory: Path, record: Mapping[str, Any]) -> None:
    """Remove a run that never took a step from the ledger."""
    if not has_content(ledger_path(directory)):
        return
    try:
        with Ledger(ledger_path(directory)) as ledger:
            ledger.remove(record["id"])
    except (OSError, ValueError) as error:
        log.warning(
            "Could not remove a run from the ledger (%s); rebuild it with %s",
            error,
            scan_command(ledger_path(directory)),
        )


def ledger_path(directory: Path) -> Path:
    """`<paths.runs>/ledger.sqlite`, given a run's directory."""
    return Path(os.path.abspath(directory)).parent.parent / LEDGER


def ledger_for(directory: Path, runs: Path) -> Path:
    """The ledger for what a run, found with `--runs RUNS` or given by its path, is asked.

    That of the folder of runs it lies in: `runs`, or one that has a ledger already. A run that lies
    elsewhere, because it was moved or copied, is recorded in the ledger of `runs`.
    """
    own = ledger_path(directory)
    if has_content(own) or _is_at(str(runs), own.parent):
        return own
    return Path(os.path.abspath(runs.expanduser())) / LEDGER


def _is_at(place: str | None, folder: Path) -> bool:
    return place is not None and Path(place).expanduser().resolve() == folder.resolve()
