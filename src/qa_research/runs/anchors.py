"""Anchors: the saved states of a run at some steps, from which it can be trained again, or otherwise.

They lie in the run's folder `anchors`, named as weights of a step are: step-000050.ckpt.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ANCHORS = "anchors"
_NAME = re.compile(r"step-(\d{6,})\.ckpt")


@dataclass(frozen=True)
class Anchor:
    """The file of a run's state at the end of a step."""

    path: Path
    step: int


def anchor_file(directory: Path, step: int) -> Path:
    """Where a run keeps its state of a step."""
    return directory / ANCHORS / f"step-{step:06d}.ckpt"


def anchors_of(directory: Path) -> list[Anchor]:
    """The states that a run has kept, the earliest first."""
    found = []
    for path in (directory / ANCHORS).glob("step-*.ckpt"):
        if match := _NAME.fullmatch(path.name):
            found.append(Anchor(path, int(match.group(1))))
    return sorted(found, key=lambda anchor: anchor.step)


def nearest_anchor(directory: Path, step: int) -> Anchor | None:
    """The latest state that a run has kept of `step` or an earlier one; None: there is none."""
    before = [anchor for anchor in anchors_of(directory) if anchor.step <= step]
    return before[-1] if before else None
