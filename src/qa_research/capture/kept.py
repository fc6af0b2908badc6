"""Reads answers.zarr: what answers.py has kept of the last right and the most confidently wrong answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from qa_research.capture.recording.files import METADATA, read_root
from qa_research.capture.recording.reader import Recording
from qa_research.config import first_fault

# In a run's directory.
ANSWERS = "answers.zarr"
Asking = Literal["validation", "efficacy"]
ASKINGS: tuple[Asking, ...] = ("validation", "efficacy")
Role = Literal["last right", "most confidently wrong"]
_STRICT = ConfigDict(strict=True, extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True)
class KeptAnswer:
    """What was answered to one question, and why it is kept.

    `golds`: all correct answers, each with the character where it starts (NOT_SAID: unknown). `char_start`,
    `char_end`: of the answer in the context. `windows`: how many the question has; recorded is the one that
    holds the answer.
    """

    role: Role
    is_right: bool
    golds: list[tuple[str, int]]
    answer: str
    char_start: int
    char_end: int
    probability: float
    score: float
    windows: int


@with_config(_STRICT)
@dataclass(frozen=True)
class TrackedUnit:
    """The unit whose values are recorded. `measure`: by which it is the largest.

    `absolute`: of all head weights that of this unit in `row` changed most since step 0, by `amount`.
    `share`: it adds most to the start logit of the first recorded answer, which is `amount`, or takes most
    from it; used where step 0 was not recorded.
    """

    unit: int
    row: str
    measure: Literal["absolute", "share"]
    amount: float


@with_config(_STRICT)
@dataclass(frozen=True)
class AskedState:
    """Which weights were asked how many questions, and how many answers were right."""

    asking: Asking
    data: str
    checkpoint: str
    step: int | None
    asked: int
    right: int
    tracked: TrackedUnit


@dataclass(frozen=True)
class KeptAnswers:
    """What one kind of asking has kept: questions of `recording` in the order of `answers`."""

    state: AskedState
    answers: list[KeptAnswer]
    recording: Recording


_STATE, _KEPT = TypeAdapter(AskedState), TypeAdapter(list[KeptAnswer])


def read_kept(directory: Path) -> list[KeptAnswers]:
    """What a run has kept, by kind of asking.

    Raises:
        ValueError: it is damaged.
    """
    return [
        _read(directory / ANSWERS / asking)
        for asking in ASKINGS
        if (directory / ANSWERS / asking).is_dir()
    ]


def _read(path: Path) -> KeptAnswers:
    recording, root = Recording(path), read_root(path) or {}
    try:
        state = _STATE.validate_json(json.dumps(root.get("asked")))
        answers = _KEPT.validate_json(json.dumps(root.get("kept")))
    except ValidationError as error:
        raise ValueError(f"{path} is damaged: its {METADATA} {first_fault(error)}") from error
    if len(answers) != len(recording.questions):
        raise ValueError(
            f"{path} is damaged: it has {len(answers)} answers to {len(recording.questions)} questions"
        )
    return KeptAnswers(state, answers, recording)
