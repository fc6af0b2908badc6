"""What a start finds in the place of its run: nothing, a finished run, or one to go on with."""

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

log = logging.getLogger(__name__)
ResumeMode = Literal["auto", "never", "must"]
FINGERPRINTS = {
    "train": "training questions",
    "validation": "validation questions",
    "weights": "initial weights",
}
START_AGAIN = "train.resume=never trains again and keeps this run beside it"


@dataclass(frozen=True)
class Claim:
    """`record`: run.json of the run that is there and is meant; `point`: where it goes on."""

    record: dict[str, Any] | None
    point: ResumePoint | None

    @property
    def is_finished(self) -> bool:
        return self.record is not None and self.record["status"] == "finished"

    @property
    def step(self) -> int:
        """The optimizer steps that are done already."""
        return self.point.step if self.point else 0


def claim(
    directory: Path,
    wish: ResumeMode,
    fingerprints: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
) -> Claim:
    """Decide what a start has to do; changes nothing. `shapes`: the network's tensors by name.

    Raises:
        ValueError: the run that is there was made from other data or weights, its checkpoints are not
            its own or none is whole, or there is nothing to go on with and `wish` is `must`.
    """
    record = read_record(directory)
    if wish == "never" or record is None:
        if wish == "must":
            raise ValueError(
                f"train.resume=must, but there is no run {directory} to go on with; train.resume=auto "
                "begins it"
            )
        return Claim(None, None)
    _check_same(directory, record["fingerprints"], fingerprints)
    if record["status"] == "finished":
        return Claim(record, None)
    found = find_resume_point(directory / "checkpoints", record["id"], shapes)
    for sentence in found.damaged:
        log.warning("%s", sentence)
    if found.damaged and found.point is None:
        raise ValueError(
            f"no whole checkpoint is left to go on from: {'; '.join(found.damaged)}. {START_AGAIN}"
        )
    if found.point is None and wish == "must":
        raise ValueError(
            f"train.resume=must, but {directory} ended before anything was saved; train.resume=auto "
            "begins it again"
        )
    return Claim(record, found.point)


@contextmanager
def start_or_resume(
    directory: Path, config: Mapping[str, Any], record: dict[str, Any], found: Claim
) -> Iterator[None]:
    """Make the run's directory, or go on in it; `record` is written to it.

    Where a new run ends before its first step, all is left as it was before.
    """
    if found.point:
        if changed := changed_versions(record):
            log.warning("Other versions than it began with, so not bit for bit: %s", changed)
        if found.point.path.name == PREVIOUS:
            # It must not take this one's place when the next state is saved.
            (found.point.path.parent / LAST).unlink(missing_ok=True)
        record |= {"status": "running", "error": None, "finished": None}
        record.setdefault("resumed", []).append({"at": now(), "step": found.step})
        keep_record(directory, record, config)
        yield
        return
    kept = set_aside(directory) if directory.exists() else None
    # A crash before anything was saved leaves nothing to keep.
    empty = kept and found.record and not any((kept / "checkpoints").glob("[!.]*.ckpt"))
    if found.record:
        log.info("The run that is there ended before its state was saved; it begins again.")
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


def _check_same(directory: Path, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    for key, what in FINGERPRINTS.items():
        if then[key] != now[key]:
            raise ValueError(
                f"the {what} are no longer those of the run {directory} of this config (sha256 "
                f"{then[key][:12]} then, {now[key][:12]} now). {START_AGAIN}, and study=NAME gives it "
                "another place"
            )
