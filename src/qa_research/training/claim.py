"""What a run's directory already holds (nothing, a finished run, or one to resume), and taking it over."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qa_research.console import close_log_file
from qa_research.runs.checkpoints import LAST, PREVIOUS, ResumePoint, find_resume_point
from qa_research.runs.directory import (
    check_unedited,
    create,
    no_weights,
    read_config,
    read_record,
    set_aside,
)
from qa_research.runs.machine import changed_versions, now
from qa_research.runs.metrics import METRICS, read_metrics
from qa_research.runs.schema import check_has
from qa_research.runs.store import reindex, save_record, unindex
from qa_research.tasks.task import Task

log = logging.getLogger(__name__)
ResumeMode = Literal["auto", "never", "must"]
TRAIN_AGAIN = "train.resume=never trains again and keeps this run under another name"


@dataclass(frozen=True)
class ExistingRun:
    """`record`: run.json of the run in a directory, if it is to be used. `resume_point`: where to resume."""

    record: dict[str, Any] | None
    resume_point: ResumePoint | None

    @property
    def is_finished(self) -> bool:
        return self.record is not None and self.record["status"] == "finished"

    @property
    def step(self) -> int:
        """The optimizer steps that are already done."""
        return self.resume_point.step if self.resume_point else 0


def find_existing(directory: Path, mode: ResumeMode, task: Task) -> ExistingRun:
    """Decide whether to start, to resume or to report. Changes nothing; `task` is loaded.

    Raises:
        ValueError: the existing run was made from other data or weights, its checkpoints belong to
            another run or are all damaged, or there is nothing to resume and `mode` is `must`.
    """
    record = read_record(directory)
    if mode == "never" or record is None:
        if mode == "must":
            raise ValueError(
                f"train.resume=must, but there is no run {directory} to resume; train.resume=auto "
                "starts it"
            )
        return ExistingRun(None, None)
    path = directory / "run.json"
    check_has(path, record, ("fingerprints", "versions", "machine", "git"))
    check_unedited(directory, read_config(directory), record)
    check_fingerprints(directory, record["fingerprints"], task)
    if record["status"] == "finished":
        check_has(path, record, ("best", "best_step", "steps", "train_s", "validation_s"))
        check_has(path, record["best"], [metric["name"] for metric in task.metrics])
        return ExistingRun(record, None)
    if sentence := no_weights(directory):
        raise ValueError(f"{sentence}. {TRAIN_AGAIN}")
    found = find_resume_point(directory / "checkpoints", record["id"], task.shapes())
    for sentence in found.damaged:
        log.warning("%s", sentence)
    if found.damaged and found.point is None:
        raise ValueError(
            f"no undamaged checkpoint to resume from: {'; '.join(found.damaged)}. {TRAIN_AGAIN}"
        )
    if found.point is not None and (metrics := directory / METRICS).is_file():
        # Read again, and cut, when the training goes on: what is wrong with it is said before.
        read_metrics(metrics)
    if found.point is None and mode == "must":
        raise ValueError(
            f"train.resume=must, but {directory} stopped before its first checkpoint; train.resume=auto "
            "starts it again"
        )
    return ExistingRun(record, found.point)


@contextmanager
def start_or_resume(
    directory: Path, config: Mapping[str, Any], record: dict[str, Any], existing: ExistingRun
) -> Iterator[None]:
    """Make the run's directory, or resume in it, and write `record` to it.

    If a new run ends before its first step, everything is put back as it was before.
    """
    if existing.resume_point:
        _resume(directory, config, record, existing.resume_point)
        yield
        return
    # A crash before the first checkpoint leaves nothing worth keeping.
    is_disposable = directory.exists() and not _is_worth_keeping(directory, existing)
    earlier = None
    if directory.exists():
        earlier = _hide(directory) if is_disposable else set_aside(directory)
    if existing.record:
        log.info("The previous run stopped before its first checkpoint; starting over.")
    try:
        create(directory, config)
        save_record(directory, record, config)
        if earlier and not is_disposable:
            reindex(earlier)
            log.info("The earlier run is kept as %s", earlier.name)
        yield
    except BaseException:
        if not record["steps"]:
            is_disposable = False
            _put_back(directory, record, earlier)
        raise
    finally:
        if earlier and is_disposable:
            shutil.rmtree(earlier)


def _is_worth_keeping(directory: Path, existing: ExistingRun) -> bool:
    """Whether a directory holds more than a run that ended before its first checkpoint was written."""
    # Weights of kept steps alone are made again, bit for bit.
    kept = (path.name for path in (directory / "checkpoints").glob("[!.]*.ckpt"))
    if any(not name.startswith("step-") for name in kept):
        return True
    record = read_record(directory)
    if record is None:
        # A kill before run.json was there leaves config.yaml; anything else is somebody's.
        return any(path.name != "config.yaml" for path in directory.glob("[!.]*"))
    # With train.resume=never the run was not looked at, and is kept if it says that it took a step.
    return record["status"] == "finished" or (not existing.record and bool(record.get("steps")))


def _hide(directory: Path) -> Path:
    """Rename a run that is not worth keeping, until the next one has begun or has given its place back.

    Always to the same name, which no listing shows, so that kills leave one such run and not many.
    """
    hidden = directory.with_name(f".{directory.name}.before")
    if hidden.exists():
        shutil.rmtree(hidden)
    directory.rename(hidden)
    return hidden


def _resume(
    directory: Path, config: Mapping[str, Any], record: dict[str, Any], point: ResumePoint
) -> None:
    if changed := changed_versions(record):
        log.warning(
            "Versions have changed, so the result will not be bit for bit the uninterrupted one: %s",
            changed,
        )
    if point.path.name == PREVIOUS:
        # The damaged last.ckpt must not become previous.ckpt when the next state is saved.
        (point.path.parent / LAST).unlink(missing_ok=True)
    record |= {"status": "running", "error": None, "finished": None}
    record.setdefault("resumed", []).append({"at": now(), "step": point.step})
    save_record(directory, record, config)


def _put_back(directory: Path, record: Mapping[str, Any], earlier: Path | None) -> None:
    """Remove a run that never took a step, and give its place back to the earlier one."""
    close_log_file()
    unindex(directory, record)
    if directory.exists():
        shutil.rmtree(directory)
    if earlier:
        earlier.rename(directory)
        reindex(directory)


def check_prepared(directory: Path, record: Mapping[str, Any], task: Task) -> None:
    """Whether an interrupted run can go on with the data as it is now prepared.

    Raises:
        ValueError: its windows, or what its task makes of the data, were others.
    """
    check_fingerprints(directory, record["fingerprints"], task)
    try:
        task.check_resumed(record["fingerprints"])
    except ValueError as error:
        raise ValueError(f"{directory} cannot be resumed: {error}. {TRAIN_AGAIN}") from error


def check_fingerprints(directory: Path, recorded: Mapping[str, str], task: Task) -> None:
    """Compare what a run was made from with what there is now.

    Earlier versions recorded fewer fingerprints, and some are known only once the data is prepared.

    Raises:
        ValueError: something has changed.
    """
    current = task.fingerprints()
    for key, what in task.fingerprinted.items():
        if key in recorded and key in current and recorded[key] != current[key]:
            raise ValueError(
                f"the {what} are no longer those of the run {directory} of this config (sha256 "
                f"{recorded[key][:12]} then, {current[key][:12]} now). {TRAIN_AGAIN}; study=NAME trains "
                "in another place"
            )
