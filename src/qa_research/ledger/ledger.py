"""The ledger, in SQLite: the index of all runs, whose truth stands in each run.json, and what was asked.

Here are the runs; `ledger.asked` writes and reads questions. Many processes may write at once: each
write is one short transaction, and waits for its turn.
"""

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qa_research.ledger.entry import FINGERPRINTS, RunEntry, entry_of
from qa_research.ledger.opening import open_to_read, open_to_write, plain_errors, transaction

# Its name in the folder of runs.
LEDGER = "ledger.sqlite"
_PLAIN = (
    *("id", "status", "study", "seed", "started", "finished", "data"),
    *("git_commit", "steps", "best_step", "train_s", "validation_s", "error"),
)
_JSON = ("command", "questions", "versions", "config")
_COLUMNS = (
    *_PLAIN,
    *_JSON,
    *("directory", "git_modified"),
    *(f"{name}_fingerprint" for name in FINGERPRINTS),
)
_UPSERT = (
    f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{c}' for c in _COLUMNS)}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _COLUMNS[1:])}"
)


class Ledger:
    """An open ledger; a context manager that closes it.

    Opened to write it is made where there is none; opened `read_only` nothing is written, and the
    file or its folder may be read-only.

    Raises:
        FileNotFoundError: there is none to read.
        ValueError: the file is no ledger, or one of a newer version.
        OSError: it cannot be opened or written; the message says why.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = Path(os.path.abspath(path))
        self._connection = open_to_read(self.path) if read_only else open_to_write(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; may be called again."""
        with plain_errors(self.path):
            self._connection.close()

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that may write; it is undone where its block raises."""
        return transaction(self._connection, self.path, "BEGIN IMMEDIATE")

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that sees the ledger as it is at one moment."""
        return transaction(self._connection, self.path, "BEGIN")

    def write_run(
        self, directory: Path, record: Mapping[str, Any], config: Mapping[str, Any]
    ) -> None:
        """Write what run.json (`record`) and the config say of a run, in place of what was known.

        A run known under another id at the same place is forgotten.
        """
        entry = entry_of(directory, record, config)
        with self.writing():
            self._write(entry)

    def replace_all(self, entries: Iterable[RunEntry]) -> None:
        """Make `entries` all that is known, in one transaction.

        They are taken one by one while other writers wait. So what is read from the disk meanwhile
        is never older than what a training wrote here before, nor newer than what it writes after.
        """
        with self.writing():
            # Two runs may have changed places, and a run that stays must not lose what hangs on it.
            self._connection.execute("UPDATE runs SET directory = 'not seen: ' || id")
            for entry in entries:
                self._write(entry)
            self._connection.execute("DELETE FROM runs WHERE directory = 'not seen: ' || id")

    def remove(self, run_id: str) -> None:
        """Forget a run and its scores; one that is not known is no error."""
        with self.writing():
            self._connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def runs(self) -> list[RunEntry]:
        """All runs, the latest first."""
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
            "directory": self._place(entry.directory),
            "git_modified": entry.git_modified,
        }

    def _place(self, directory: Path) -> str:
        """From the ledger's folder on where it lies within, so that the folder can be moved."""
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
            **{name: json.loads(row[name]) for name in _JSON},
            directory=self.path.parent / row["directory"],
            git_modified=None if modified is None else bool(modified),
            fingerprints={name: value for name, value in fingerprints.items() if value is not None},
            scores=scores,
        )
