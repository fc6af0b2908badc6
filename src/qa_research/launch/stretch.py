"""A stretch of a run's steps that is to be trained again and again, each time with something else changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.launch.fork import check_step, ensure_anchor, parent_config, parent_record
from qa_research.runs.anchors import anchor_file
from qa_research.runs.directory import find_run
from qa_research.training.rerun import Reruns


@dataclass(frozen=True)
class Stretch:
    """The steps after `first` up to `until` of the run in `directory`, with its record and config."""

    directory: Path
    record: Mapping[str, Any]
    config: dict[str, Any]
    first: int
    until: int

    def reruns(self, from_start: bool) -> Reruns:
        """Its steps, ready to be trained; the state that they begin from is made if it was not kept.

        Raises:
            ValueError: no earlier state was kept either, and `from_start` is false.
        """
        ensure_anchor(self.directory, self.record, self.first, from_start)
        state = anchor_file(self.directory, self.first)
        return Reruns(self.config, state, self.until, self.directory)


def stretch_of(run: str, first: int, until: int, runs: Path, anyway: bool) -> Stretch:
    """The stretch of a run that --at and --to name.

    Raises:
        FileNotFoundError, ValueError: no such run or steps; it may not be trained again (see
            `parent_record`); or it leaves something out itself, which would then come back.
    """
    directory = find_run(run, runs)
    record = parent_record(directory, anyway)
    check_step(record, first)
    check_step(record, until, "--to")
    config = parent_config(directory)
    for section, key in (("data", "without"), ("data", "only"), ("train", "silence")):
        if config[section].get(key):
            raise ValueError(
                f"this run has {section}.{key} itself, and what is asked is what a training of everything "
                "would have been; ask the run that it is a fork of"
            )
    if until <= first:
        raise ValueError(f"--to {until} must be after --at {first}")
    return Stretch(directory, record, config, first, until)
