"""What is already in the place of a run: nothing, a finished run, or one to resume."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qa_research.console import close_log_file
from qa_research.runs.checkpoints import LAST, PREVIOUS, ResumePoint, find_resume_point
from qa_research.runs.directory import create, read_record, set_aside
from qa_research.runs.index import keep_record, reindex, unindex
from qa_research.runs.machine import changed_versions, now
from qa_research.tasks.task import Task

log = logging.getLogger(__name__)
ResumeMode = Literal["auto", "never", "must"]
START_AGAIN = "train.resume=never trains again and keeps this run under another name"


@dataclass(frozen=True)
class Claim:
    """`record`: run.json of the existing run, if it is to be used; `point`: where to resume it."""

    record: dict[str, Any] | None
    point: ResumePoint | None

    @property
    def is_finished(self) -> bool:
        return self.record is not None and self.record["status"] == "finished"

    @property
    def step(self) -> int:
        """The optimizer steps that are already done."""
        return self.point.step if self.point else 0


def claim(directory: Path, mode: ResumeMode, task: Task) -> Claim:
    """Decide whether to start, to resume or to report; changes nothing. `task`: loaded.

    Raises:
        ValueError: the existing run was made from other data or weights, its checkpoints are not its
            own or all damaged, or there is nothing to resume and `mode` is `must`.
    """
    record = read_record(directory)
    if mode == "never" or record is None:
        if mode == "must":
            raise ValueError(
                f"train.resume=must, but there is no run {directory} to resume; train.resume=auto "
                "starts it"
            )
        return Claim(None, None)
    _check_same(directory, record["fingerprints"], task)
    if record["status"] == "finished":
        return Claim(record, None)
    found = find_resume_point(directory / "checkpoints", record["id"], task.shapes())
    for sentence in found.damaged:
        log.warning("%s", sentence)
    if found.damaged and found.point is None:
        raise ValueError(
            f"no undamaged checkpoint is left to resume from: {'; '.join(found.damaged)}. {START_AGAIN}"
        )
    if found.point is None and mode == "must":
        raise ValueError(
            f"train.resume=must, but {directory} stopped before its first checkpoint; train.resume=auto "
            "starts it again"
        )
    return Claim(record, found.point)


@contextmanager
def start_or_resume(
    directory: Path, config: Mapping[str, Any], record: dict[str, Any], found: Claim
) -> Iterator[None]:
    """Make the run's directory, or resume in it; `record` is written to it.

    If a new run ends before its first step, everything is put back as it was before.
    """
    if found.point:
        if changed := changed_versions(record):
            log.warning("Versions changed since it started, so not bit for bit: %s", changed)
        if found.point.path.name == PREVIOUS:
            # The damaged last.ckpt must not become previous.ckpt when the next state is saved.
            (found.point.path.parent / LAST).unlink(missing_ok=True)
        record |= {"status": "running", "error": None, "finished": None}
        record.setdefault("resumed", []).append({"at": now(), "step": found.step})
        keep_record(directory, record, config)
        yield
        return
    kept = set_aside(directory) if directory.exists() else None
    # A crash before the first checkpoint leaves nothing worth keeping.
    empty = kept and found.record and not any((kept / "checkpoints").glob("[!.]*.ckpt"))
    if found.record:
        log.info("The previous run stopped before its first checkpoint; starting over.")
    try:
        create(directory, config)
        keep_record(directory, record, config)
        if kept and not empty:
            reindex(kept)
            log.info("The earlier run is kept as %s", kept.name)
        yield
    except BaseException:
        if not record["steps"]:
            close_log_file()
            unindex(directory, record)
            if directory.exists():
                shutil.rmtree(directory)
            if kept:
                kept.rename(directory)
                reindex(directory)
            raise
        if kept and empty:
            shutil.rmtree(kept)
        raise
    if kept and empty:
        shutil.rmtree(kept)


def _check_same(directory: Path, recorded: Mapping[str, str], task: Task) -> None:
    current = task.fingerprints()
    for key, what in task.fingerprinted.items():
        if recorded[key] != current[key]:
            raise ValueError(
                f"the {what} are no longer those of the run {directory} of this config (sha256 "
                f"{recorded[key][:12]} then, {current[key][:12]} now). {START_AGAIN}, and study=NAME puts "
                "it elsewhere"
            )
