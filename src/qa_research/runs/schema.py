"""What run.json and config.yaml must hold, whoever wrote or edited them; anything else is one sentence.

Only what is read before the run's own classes are known is described here. The sections of a config are
checked against the constructors of their classes when these are built (config.py).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Ge, MaxLen, MinLen
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from qa_research.config import first_fault
from qa_research.plain import check_plain
from qa_research.tasks.task import Metric

REPAIR = "restore it from a copy, or rename the run's directory to train it again"


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Moment = Annotated[str, AfterValidator(_is_time)]
Name = Annotated[str, MinLen(1)]


class GitState(TypedDict):
    """The commit that a run was made with."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    commit: NotRequired[str | None]
    modified: NotRequired[bool | None]


class CaptureCost(TypedDict):
    """What captures took."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    captures: int
    left_out: int
    seconds: float
    percent_of_training: float
    mb: float


class MeanInterval(TypedDict):
    """`stats.Interval`, as JSON has it."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    low: float
    high: float
    wider: float | None


class Scored(TypedDict):
    """A metric of `total` examples with its 95 % interval; see `scoring.Score`."""

    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]
    value: float
    low: float
    high: float
    total: int
    wider: float | None


class ForkSection(TypedDict):
    """Of which run, by name and id, and at the end of which step a fork begins; see runs.forks."""

    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]
    run: Name
    id: Name
    step: Annotated[int, Ge(1)]


class Forked(TypedDict):
    """What run.json says of a fork: where it begins, and both values of each key that was changed."""

    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]
    run: Name
    id: Name
    step: Annotated[int, Ge(1)]
    changes: dict[str, Annotated[list[Any], MinLen(2), MaxLen(2)]]


class Record(TypedDict):
    """run.json. Old records lack some keys, and a run that has not validated yet has no scores."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    id: Name
    status: Literal["running", "interrupted", "failed", "finished"]
    study: Name
    seed: NotRequired[int | None]
    started: NotRequired[Moment | None]
    finished: NotRequired[Moment | None]
    command: NotRequired[list[str] | None]
    data: NotRequired[str | None]
    fingerprints: NotRequired[dict[str, str]]
    questions: NotRequired[dict[str, int]]
    examples: NotRequired[dict[str, int]]
    versions: NotRequired[dict[str, str]]
    git: NotRequired[GitState]
    machine: NotRequired[dict[str, Any]]
    config: NotRequired[dict[str, Any]]
    steps: NotRequired[int | None]
    best: NotRequired[dict[str, float] | None]
    best_95: NotRequired[dict[str, MeanInterval]]
    best_step: NotRequired[int | None]
    train_s: NotRequired[float | None]
    validation_s: NotRequired[float | None]
    peak_memory_mb: NotRequired[float | None]
    # What the run is told beside, by name and metric; and its scores of data that are scored once.
    baselines: NotRequired[dict[str, dict[str, Scored]]]
    test: NotRequired[dict[str, Scored]]
    loss_unit: NotRequired[str]
    best_while_training: NotRequired[dict[str, float] | None]
    precision_while_training: NotRequired[str]
    capture: NotRequired[CaptureCost | None]
    error: NotRequired[str | None]
    resumed: NotRequired[list[dict[str, Any]]]
    fork: NotRequired[Forked]


class TaskSection(TypedDict):
    """What every task has; `_target_` and a task's own keys come with it."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    examples: str
    metrics: list[Metric]


class ModelSection(TypedDict):
    """What names a run, beside a network's own keys."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    name: str
    weights: str


class Config(TypedDict):
    """config.yaml, with today's keys."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    study: str
    seed: int
    task: TaskSection
    data: dict[str, Any]
    model: ModelSection
    trainer: NotRequired[dict[str, Any]]
    checkpoint: NotRequired[dict[str, Any]]
    capture: NotRequired[dict[str, Any] | None]
    finetuning: NotRequired[dict[str, Any] | None]
    answer: NotRequired[dict[str, Any]]
    train: NotRequired[dict[str, Any]]
    paths: NotRequired[dict[str, Any]]
    fork: NotRequired[ForkSection]


_RECORD = TypeAdapter(Record)
_CONFIG = TypeAdapter(Config)


def check_record(path: Path, content: Any) -> None:
    """Raise ValueError if `content`, read from `path`, is not that of a run.json."""
    _check(_RECORD, path, content)


def check_config(path: Path, content: Any) -> None:
    """Raise ValueError if `content`, read from `path` and upgraded, is not that of a config.yaml."""
    _check(_CONFIG, path, content)


def check_has(path: Path, content: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Raise ValueError if one of these keys, which a part of its readers needs, is missing or null."""
    for key in keys:
        if content.get(key) is None:
            raise ValueError(f"{path} has no {key}; {REPAIR}")


def _check(adapter: TypeAdapter[Any], path: Path, content: Any) -> None:
    try:
        check_plain(content, str(path))
    except ValueError as error:
        raise ValueError(f"{error}; {REPAIR}") from error
    try:
        adapter.validate_python(content)
    except ValidationError as error:
        raise ValueError(f"{path} {first_fault(error)}; {REPAIR}") from error
