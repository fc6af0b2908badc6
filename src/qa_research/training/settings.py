"""The sections of a config that belong to the run itself."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True)
class Paths:
    """`runs`: where run directories and the ledger lie; `cache`: tokenised windows and vocabularies."""

    runs: str
    cache: str


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a run is started and shown.

    `resume`: `auto` reports a run that is finished and goes on with one that was interrupted; `must`
    only goes on, and never begins; `never` keeps the old directory under another name and starts
    again. `threads`: for torch on the CPU (null: torch's own choice). `stop_at_exact_match`: percent on
    validation at which training ends early (null: never). `progress`: `auto` shows bars on a terminal
    and lines elsewhere.
    """

    resume: Literal["auto", "never", "must"]
    stop_at_exact_match: Annotated[float, Gt(0), Le(100)] | None
    threads: Annotated[int, Ge(1)] | None
    progress: Literal["auto", "bar", "lines", "none"]


@dataclass(frozen=True, slots=True)
class Settings:
    """All that may stand in a composed config; sections are checked against their `_target_`."""

    study: str
    seed: Annotated[int, Ge(0)]
    data: dict[str, Any]
    model: dict[str, Any]
    trainer: dict[str, Any]
    answer: dict[str, Any]
    checkpoint: dict[str, Any]
    capture: dict[str, Any] | None
    train: dict[str, Any]
    paths: dict[str, Any]
