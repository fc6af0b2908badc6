"""One SELECT on the ledger, by whoever asks: nothing but reading, and errors in one sentence.

The ledger's tables and views with their columns, and what schema.sql says of each.
"""

import difflib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from qa_research.ledger.runs import Ledger

BEGINNINGS = ("SELECT", "WITH", "VALUES", "EXPLAIN", "PRAGMA")
_COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*", re.DOTALL)
_READING = {
    *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
}
# Those that only tell, whatever their argument.
_PRAGMAS = {
    *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"),
    *("foreign_key_check", "integrity_check", "quick_check", "database_list", "function_list"),
    *("collation_list", "compile_options"),
}
_ACTIONS = {
    number: name.removeprefix("SQLITE_").replace("_", " ")
    for name, number in vars(sqlite3).items()
    if re.match(
        r"SQLITE_(CREATE|DROP|ALTER|INSERT|UPDATE|DELETE|ATTACH|DETACH|REINDEX|ANALYZE)", name
    )
}
# SQLite makes these when they are first named, which looks like writing.
_MADE_WHEN_NAMED = (
    *("json_each", "json_tree", "pragma_table_info", "pragma_table_xinfo", "pragma_table_list"),
    *("pragma_index_list", "pragma_index_info", "pragma_foreign_key_list"),
)
# Trouble with the file, and none of the query's.
_OF_THE_FILE = (
    "BUSY",
    "LOCKED",
    "NOTADB",
    "CORRUPT",
    "IOERR",
    "CANTOPEN",
    "READONLY",
    "PERM",
    "FULL",
)


@dataclass(slots=True)
class Result:
    """What a query gives; its rows come one by one, once, and are counted."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]
    count: int = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self.rows:
            self.count += 1
            yield row


@dataclass(slots=True)
class _Guard:
    """Lets SQLite read and do nothing else. It is asked before a statement does anything."""

    refused: list[str] = field(default_factory=list)

    def __call__(self, action: int, first: str | None, second: str | None, *_of: str | None) -> int:
        if action in _READING:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA:
            if first in _PRAGMAS or (second is None and first in ("user_version", "journal_mode")):
                return sqlite3.SQLITE_OK
            self.refused.append(f"PRAGMA {first}")
        else:
            self.refused.append(_ACTIONS.get(action, "what it does"))
        return sqlite3.SQLITE_DENY


@contextmanager
def select(ledger: Ledger, query: str) -> Iterator[Result]:
    """The answer to one query, with the ledger as it is at one moment.

    Raises:
        ValueError: it is no query, would change something, or SQLite cannot answer it; also while its
            rows are read.
        OSError: the ledger cannot be read.
    """
    _check_beginning(query)
    guard = _Guard()
    with ledger.reading() as connection:
        cursor = connection.cursor()
        cursor.row_factory = None
        for name in _MADE_WHEN_NAMED:
            # One that this SQLite lacks is the trouble of a query that names it.
            with suppress(sqlite3.OperationalError):
                connection.execute(f"EXPLAIN SELECT * FROM {name}")
        connection.set_authorizer(guard)
        # Python sees a Ctrl-C only between SQLite's steps.
        connection.set_progress_handler(lambda: 0, 100_000)
        try:
            with _explained(connection, query, guard):
                cursor.execute(query)
            columns = tuple(column[0] for column in cursor.description or ())
            yield Result(columns, _rows(cursor, connection, query, guard))
        finally:
            cursor.close()
            connection.set_progress_handler(None, 0)
            connection.set_authorizer(None)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or all that is known where nothing is near."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(names)}"


def tables_of(connection: Any) -> dict[str, str]:
    """The tables and views, each `table` or `view`, tables first."""
    rows = connection.execute(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, rowid"
    )
    return dict(rows.fetchall())


def _check_beginning(query: str) -> None:
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the query is no valid UTF-8") from error
    comments = _COMMENTS.match(query)
    assert comments
    rest = query[comments.end() :]
    if not rest:
        raise ValueError(
            'the query is empty; try "SELECT * FROM runs" (without a query, the tables are shown)'
        )
    word = re.match(r"\w+|.", rest)
    if word and word[0].upper() not in BEGINNINGS:
        raise ValueError(
            f"the query begins with {word[0]!r}, and nothing was done: only what reads is allowed here, "
            f"beginning with {', '.join(BEGINNINGS[:-1])} or {BEGINNINGS[-1]}"
        )


def _rows(cursor: Any, connection: Any, query: str, guard: _Guard) -> Iterator[tuple[Any, ...]]:
    while True:
        with _explained(connection, query, guard):
            rows = cursor.fetchmany(1000)
        if not rows:
            return
        yield from rows


@contextmanager
def _explained(connection: Any, query: str, guard: _Guard) -> Iterator[None]:
    """Turn what SQLite says of a query into one sentence."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        name: str = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_")
        if name.startswith("INTERRUPT"):
            raise KeyboardInterrupt from error
        if name.startswith(_OF_THE_FILE):
            raise
        if guard.refused:
            raise ValueError(
                f"the query asks for {guard.refused[0]}, and nothing was done: only reading is allowed"
            ) from error
        if "one statement" in str(error):
            raise ValueError("the query holds several statements; give one at a time") from error
        if "binding" in str(error):
            raise ValueError(
                "the query has a place for a value (? or :name); write the value there"
            ) from error
        connection.set_authorizer(None)
        raise ValueError(f"SQLite says: {error}{_hint(connection, query, str(error))}") from error


def _hint(connection: Any, query: str, said: str) -> str:
    missing = re.fullmatch(r"no such (table|column): (.+)", said)
    if not missing:
        return ""
    tables = tables_of(connection)
    name = missing[2].rpartition(".")[2]
    if missing[1] == "table":
        return nearest(name, tables)
    named = [table for table in tables if re.search(rf"\b{table}\b", query, re.IGNORECASE)]
    columns = [
        row[1]
        for table in named
        for row in connection.execute(f'PRAGMA table_info("{table}")').fetchall()
    ]
    return nearest(name, columns) if columns else ""


_TABLE = re.compile(r"CREATE (?:TABLE|VIEW) IF NOT EXISTS (\w+)")
_COLUMN = re.compile(r"\s+(\w+)\s+(?:TEXT|INTEGER|REAL)\b[^-]*(?:--\s*(.*))?")
_COMMENT = re.compile(r"\s*--\s*(.*)")


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `type` and `comment` are empty where there is none."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view (`kind`)."""

    name: str
    kind: str
    comment: str
    columns: tuple[Column, ...]


def described(ledger: Ledger) -> list[Table]:
    """All tables and views of this ledger; one of an older version has fewer."""
    comments = _comments()
    with ledger.reading() as connection:
        return [
            Table(
                name,
                kind,
                comments.get((name, ""), ""),
                tuple(
                    Column(row["name"], row["type"], comments.get((name, row["name"]), ""))
                    for row in connection.execute(f'PRAGMA table_info("{name}")')
                ),
            )
            for name, kind in tables_of(connection).items()
        ]


def _comments() -> dict[tuple[str, str], str]:
    """By table and column; a table's own has the column ''. Comment lines belong to what follows them."""
    schema = files("qa_research.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
    found: dict[tuple[str, str], str] = {}
    table = ""
    before: list[str] = []
    for line in schema.splitlines():
        if comment := _COMMENT.fullmatch(line):
            before.append(comment[1])
            continue
        if begins := _TABLE.match(line):
            table = begins[1]
            found[table, ""] = " ".join(before)
        elif column := _COLUMN.match(line):
            found[table, column[1]] = " ".join([*before, *([column[2]] if column[2] else [])])
        before = []
    return found
