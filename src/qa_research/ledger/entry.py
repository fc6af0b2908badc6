"""One run as the ledger has it: what run.json and config.yaml say, checked. Reads no files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

STATUSES = ("running", "interrupted", "failed", "finished")
FINGERPRINTS = ("train", "validation", "weights")
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run. What a run does not have yet, or an old record lacks, is None or empty.

    `directory` is absolute, times are ISO 8601 in UTC, `scores` those of the best checkpoint
    (percent, but for losses), `fingerprints` has the keys train, validation and weights.
    """

    id: str
    directory: Path
    status: str
    study: str
    seed: int | None
    started: str | None
    finished: str | None
    command: list[str]
    data: str | None
    fingerprints: dict[str, str]
    questions: dict[str, int]
    versions: dict[str, str]
    git_commit: str | None
    git_modified: bool | None
    steps: int | None
    best_step: int | None
    train_s: float | None
    validation_s: float | None
    error: str | None
    scores: dict[str, float]
    config: dict[str, Any]

    @property
    def name(self) -> str:
        """`<study's folder>/<run's folder>`."""
        return f"{self.directory.parent.name}/{self.directory.name}"


def entry_of(directory: Path, record: Mapping[str, Any], config: Mapping[str, Any]) -> RunEntry:
    """The entry of a run from its run.json (`record`) and config.yaml (`config`).

    Raises:
        ValueError: the record lacks its id, status or study, or a value is of the wrong kind.
    """
    for key in ("id", "status", "study"):
        if not _value(record, key, str):
            raise ValueError(f"run.json of {directory} has no {key}")
    if record["status"] not in STATUSES:
        raise ValueError(
            f"run.json of {directory} has the status {record['status']!r}; known: {', '.join(STATUSES)}"
        )
    fingerprints = _table(record, "fingerprints", str)
    git: Mapping[str, Any] = _value(record, "git", dict) or {}
    return RunEntry(
        id=record["id"],
        directory=Path(os.path.abspath(directory)),
        status=record["status"],
        study=record["study"],
        seed=_value(record, "seed", int),
        started=_moment(record, "started"),
        finished=_moment(record, "finished"),
        command=[str(word) for word in _value(record, "command", list) or []],
        data=_value(record, "data", str),
        fingerprints={name: fingerprints[name] for name in FINGERPRINTS if name in fingerprints},
        questions=_table(record, "questions", int),
        versions=_table(record, "versions", str),
        git_commit=_value(git, "commit", str),
        git_modified=_value(git, "modified", bool),
        steps=_value(record, "steps", int),
        best_step=_value(record, "best_step", int),
        train_s=_number(record, "train_s"),
        validation_s=_number(record, "validation_s"),
        error=_value(record, "error", str),
        scores={
            name: _required(_number(scores, name), f"best.{name}")
            for scores in [_value(record, "best", dict) or {}]
            for name in sorted(scores)
        },
        config=dict(config),
    )


def _value(record: Mapping[str, Any], key: str, kind: type[Kind]) -> Kind | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"run.json has {key}={value!r}; expected a {kind.__name__}")
    return value


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    return float(value) if type(value) is int else _value(record, key, float)


def _moment(record: Mapping[str, Any], key: str) -> str | None:
    text = _value(record, key, str)
    try:
        if text is not None:
            datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"run.json has {key}={text!r}; expected an ISO 8601 time") from error
    return text


def _table(record: Mapping[str, Any], key: str, kind: type[Kind]) -> dict[str, Kind]:
    table: Mapping[str, Any] = _value(record, key, dict) or {}
    return {name: _required(_value(table, name, kind), f"{key}.{name}") for name in table}


def _required(value: Kind | None, key: str) -> Kind:
    if value is None:
        raise ValueError(f"run.json has {key}=null")
    return value
