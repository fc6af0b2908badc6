"""The old lab's database, stack_trace.db, as a file: opened to read, its tables and columns checked.

Its columns have no types, so a number may be text, and a text anything.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPECTED = "the old lab's stack_trace.db"
# A number with more digits is not a count, and SQLite could not hold it.
_DIGITS = 15
# The indices of all questions of SQuAD's training split, 87,599, are 0.6 MB as a text.
LONGEST_TEXT, LONGEST_NAME = 4_000_000, 500
# Of Linux.
LONGEST_PATH = 4_096


def count_of(value: Any) -> int | None:
    """A count, whatever it was stored as; None if it is not one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


@dataclass(slots=True)
class Oddities:
    """What was odd: sentences, and how many numbers of each column were text."""

    notes: list[str] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)

    def count_text(self, column: str, value: object) -> None:
        """Count a number that was text."""
        if isinstance(value, str):
            self.texts[column] += 1

    def sentences(self) -> tuple[str, ...]:
        """All of it."""
        converted = (
            f"{column} was text in {rows_of(rows)}, and was read as a number"
            for column, rows in self.texts.items()
        )
        return (*self.notes, *converted)


def log_of(path: Path) -> Path | None:
    """The write-ahead log, where a file in WAL mode has its last changes, if there are any."""
    real = path.resolve()
    log = real.with_name(f"{real.name}-wal")
    return log if log.exists() and log.stat().st_size else None


def digest_of(path: Path) -> str:
    """The sha256 of the file, and of its write-ahead log if that has the last changes."""
    sha256 = hashlib.sha256()
    for file in (path, log_of(path)):
        if file is not None:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    sha256.update(block)
    return sha256.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads the file as it is at one moment, and leaves nothing beside it.

    Raises, also while it is read:
        ValueError: it is not an SQLite database, is damaged, or has a text of more than `LONGEST_TEXT` bytes.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        is_wal = stream.read(20)[18:] == b"\x02\x02"
    # SQLite would create two files next to one in WAL mode. Without a log the file is complete by itself.
    how = "mode=ro&immutable=1" if is_wal and not log_of(path) else "mode=ro"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_TEXT)
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            connection.execute("BEGIN")
            yield connection
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise ValueError(
                f"{path} is not an SQLite database, or is damaged; expected {EXPECTED}"
            ) from error
        if getattr(error, "sqlite_errorname", "") == "SQLITE_TOOBIG":
            raise ValueError(
                f"{path} has a text or row of more than {LONGEST_TEXT:,} bytes; expected {EXPECTED}"
            ) from error
        raise OSError(
            f"{path} cannot be read ({error}); copy the files {path.name}* to a folder of your own"
        ) from error


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """The names of a table's columns; empty if there is none.

    A view may be anything, and may never end; a virtual table, which has no page, is read by code.
    """
    is_table = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND lower(name) = lower(?)",
        (table,),
    ).fetchone()
    if not is_table:
        return set()
    return {row[1].lower() for row in connection.execute(f"PRAGMA table_info({quoted(table)})")}


def quoted(name: str) -> str:
    """A table's name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def check_columns(path: Path, table: str, columns: set[str], needed: tuple[str, ...]) -> None:
    """Raise ValueError unless a table has these columns."""
    missing = [name for name in needed if name not in columns]
    if missing:
        why = f"its table {table} has no {', '.join(missing)}" if columns else f"no table {table}"
        raise ValueError(f"{path} is not {EXPECTED}: {why}")


def rows_in(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], odd: Oddities
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table by their ids, which come first; one whose id is no number goes to `odd`."""
    for row in connection.execute(
        f"SELECT {', '.join(columns)} FROM {quoted(table)} ORDER BY {columns[0]}"
    ):
        if isinstance(row[0], int):
            yield row
        else:
            odd.notes.append(
                f"a row of {table!r:.200} was skipped because its id is {row[0]!r:.50}"
            )


def rows_of(count: int) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} row{'' if count == 1 else 's'}"
