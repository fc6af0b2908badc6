"""The ledger's index of all runs, in SQLite; each run's own run.json is the truth. Reads no run's files.

`ledger.asked` writes the questions that were asked. Many processes may write at once: each write is one
short transaction that waits for its turn.
"""

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from qa_research.files import parse_json
from qa_research.ledger.database import open_to_read, open_to_write, plain_errors, transaction
from qa_research.signals import without_number

STATUSES = ("running", "interrupted", "failed", "finished")
FINGERPRINTS = ("train", "validation", "weights")
# What data are divided into; a task may also count parts of these, as those that choose.
DATA_SPLITS = ("train", "validation", "test")
Kind = TypeVar("Kind")
# The file's name in the folder of runs.
LEDGER = "ledger.sqlite"


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run. What it does not have yet, or an old record never had, is None or empty.

    `directory` is absolute, times are ISO 8601 in UTC, `scores` are those of the best checkpoint (percent,
    except losses), `fingerprints` has the keys train, validation and weights. `questions`: how many examples
    of its task each split has.
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
        ValueError: the record has no id, status or study, or a value has the wrong type.
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
        questions=_table(record, counts_key(record, config), int),
        versions=_table(record, "versions", str),
        git_commit=_value(git, "commit", str),
        git_modified=_value(git, "modified", bool),
        steps=_value(record, "steps", int),
        best_step=_value(record, "best_step", int),
        train_s=_number(record, "train_s"),
        validation_s=_number(record, "validation_s"),
        # Until version 0.2 as Python shows it.
        error=without_number(error) if (error := _value(record, "error", str)) else error,
        scores={
            name: _required(_number(scores, name), f"best.{name}")
            for scores in [_value(record, "best", dict) or {}]
            for name in sorted(scores)
        },
        config=dict(config),
    )


def counts_key(record: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The key of run.json with the numbers of examples: what they are called, or just `examples`."""
    task = config.get("task")
    called = task.get("examples") if isinstance(task, Mapping) else None
    return next((str(key) for key in (called, "questions") if key in record), "examples")


_TYPES: Mapping[type, str] = {
    str: "a text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _value(record: Mapping[str, Any], key: str, kind: type[Kind]) -> Kind | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"run.json has {key}={value!r}; expected {_TYPES[kind]}")
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


# Fields of RunEntry that are columns: as they are, or as JSON.
_JSON = ("command", "questions", "versions", "config")
_OTHERWISE = ("directory", "git_modified", "fingerprints", "scores")
_PLAIN = tuple(field.name for field in fields(RunEntry) if field.name not in (*_JSON, *_OTHERWISE))
_COLUMNS = [*_PLAIN, *_JSON, "directory", "git_modified"]
_COLUMNS += [f"{name}_fingerprint" for name in FINGERPRINTS]
_UPSERT = (
    f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{c}' for c in _COLUMNS)}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _COLUMNS[1:])}"
)


class Ledger:
    """An open ledger; a context manager that closes it.

    Opened for writing it is created if there is none. With `read_only` nothing is written, and the file or
    its folder may be read-only.

    Raises:
        FileNotFoundError: there is none to read.
        ValueError: the file is not a ledger, or one of a newer version.
        OSError: it cannot be opened or written; the message says why.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = Path(os.path.abspath(path))
        self._connection = open_to_read(self.path) if read_only else open_to_write(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called again."""
        with plain_errors(self.path):
            self._connection.close()

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that may write; undone if its block raises."""
        return transaction(self._connection, self.path, "BEGIN IMMEDIATE")

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that sees the ledger as it is at one moment."""
        return transaction(self._connection, self.path, "BEGIN")

    def has_table(self, name: str) -> bool:
        """Whether there is a table or view of this name; a ledger of an earlier version has fewer."""
        with self.reading() as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,))
            return found.fetchone() is not None

    def write_run(
        self, directory: Path, record: Mapping[str, Any], config: Mapping[str, Any]
    ) -> None:
        """Write what run.json (`record`) and the config say of a run, replacing what was known.

        A run with another id in the same directory is forgotten.
        """
        entry = entry_of(directory, record, config)
        with self.writing():
            self._write(entry)

    def replace_all(self, entries: Iterable[RunEntry]) -> None:
        """Make `entries` all that is known, in one transaction.

        They are taken one by one while other writers wait. So what is read from the disk meanwhile is
        never older than what a training wrote here before, nor newer than what it writes afterwards.
        """
        with self.writing():
            # Two runs may have swapped directories, and a run that stays must not lose its scores.
            self._connection.execute("UPDATE runs SET directory = 'not seen: ' || id")
            for entry in entries:
                self._write(entry)
            self._connection.execute("DELETE FROM runs WHERE directory = 'not seen: ' || id")

    def remove(self, run_id: str) -> None:
        """Forget a run and its scores; an unknown one is ignored."""
        with self.writing():
            self._connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def runs(self) -> list[RunEntry]:
        """All runs, latest first."""
        return self._read("ORDER BY started DESC, directory")

    def run(self, run_id: str) -> RunEntry | None:
        """A run by its id."""
        found = self._read("WHERE id = ?", run_id)
        return found[0] if found else None

    def _write(self, entry: RunEntry) -> None:
        row = self._row(entry)
        execute = self._connection.execute
        execute("DELETE FROM runs WHERE directory = :directory AND id <> :id", row)
        execute(_UPSERT, row)
        execute("DELETE FROM scores WHERE run_id = ?", (entry.id,))
        self._connection.executemany(
            "INSERT INTO scores VALUES (?, ?, ?)",
            [(entry.id, name, value) for name, value in entry.scores.items()],
        )

    def _row(self, entry: RunEntry) -> dict[str, Any]:
        row = {name: getattr(entry, name) for name in _PLAIN}
        row |= {name: json.dumps(getattr(entry, name), ensure_ascii=False) for name in _JSON}
        row |= {f"{name}_fingerprint": entry.fingerprints.get(name) for name in FINGERPRINTS}
        return row | {
            "directory": self._relative(entry.directory),
            "git_modified": entry.git_modified,
        }

    def _relative(self, directory: Path) -> str:
        """The path relative to the ledger's folder if it is inside, so that the folder can be moved."""
        folder = self.path.parent
        for place, start in ((directory, folder), (directory.resolve(), folder.resolve())):
            if place.is_relative_to(start):
                return place.relative_to(start).as_posix()
        return str(directory)

    def _read(self, clause: str, *values: str) -> list[RunEntry]:
        with self.reading():
            execute = self._connection.execute
            rows = execute(f"SELECT * FROM runs {clause}", values).fetchall()
            scores: dict[str, dict[str, float]] = {row["id"]: {} for row in rows}
            query = f"SELECT * FROM scores WHERE run_id IN (SELECT id FROM runs {clause})"
            for score in execute(query, values):
                value = score["value"]
                scores[score["run_id"]][score["name"]] = math.nan if value is None else value
        return [self._entry(row, scores[row["id"]]) for row in rows]

    def _entry(self, row: sqlite3.Row, scores: dict[str, float]) -> RunEntry:
        fingerprints = {name: row[f"{name}_fingerprint"] for name in FINGERPRINTS}
        modified = row["git_modified"]
        return RunEntry(
            **{name: row[name] for name in _PLAIN},
            **{
                name: parse_json(row[name], f"{name} of {row['id']} in {self.path}")
                for name in _JSON
            },
            directory=self.path.parent / row["directory"],
            git_modified=None if modified is None else bool(modified),
            fingerprints={name: value for name, value in fingerprints.items() if value is not None},
            scores=scores,
        )
