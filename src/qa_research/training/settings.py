"""The sections of a config that belong to the run itself, whatever its task."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge


@dataclass(frozen=True, slots=True)
class Paths:
    """`runs`: the folder of run directories and the ledger. `cache`: of tokenised data and vocabularies."""

    runs: str
    cache: str


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a run is started and shown.

    `resume`: `auto` reports a finished run and resumes an interrupted one; `must` only resumes and
    never starts one; `never` keeps the old directory under another name and starts again.
    `threads`: of torch on the CPU (null: torch's own choice). `stop_at`: training ends early as soon as
    one of these validation metrics is reached (null: never; a metric's null turns it off).
    `progress`: `auto` shows bars on a terminal and lines elsewhere.
    """

    resume: Literal["auto", "never", "must"]
    stop_at: dict[str, float | None] | None
    threads: Annotated[int, Ge(1)] | None
    progress: Literal["auto", "bar", "lines", "none"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of a composed config that every task has. A task adds sections of its own.

    A section with a `_target_` is checked against that class's constructor.
    """

    study: str
    seed: Annotated[int, Ge(0)]
    task: dict[str, Any]
    data: dict[str, Any]
    model: dict[str, Any]
    trainer: dict[str, Any]
    checkpoint: dict[str, Any]
    capture: dict[str, Any] | None
    train: dict[str, Any]
    paths: dict[str, Any]
