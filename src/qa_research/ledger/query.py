"""One read-only query on the ledger, by whoever asks, with errors in one sentence; what tables mean."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from qa_research.ledger.runs import Ledger
from qa_research.text import did_you_mean

BEGINNINGS = ("SELECT", "WITH", "VALUES", "EXPLAIN", "PRAGMA")
_COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*", re.DOTALL)
_READING = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)
# PRAGMAs that only return information, whatever their argument.
_PRAGMAS = re.compile(
    r"table_list|(table|index)_x?info|(index|foreign_key|database|function|collation)_list|"
    r"(foreign_key|integrity|quick)_check|compile_options"
)
_ACTIONS = {
    number: name.removeprefix("SQLITE_").replace("_", " ")
    for name, number in vars(sqlite3).items()
    if re.match(
        r"SQLITE_(CREATE|DROP|ALTER|INSERT|UPDATE|DELETE|ATTACH|DETACH|REINDEX|ANALYZE)", name
    )
}
# SQLite creates these tables when they are first named, which looks like writing.
_PRAGMA_TABLES = (
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "database_list",
    "function_list",
    "collation_list",
    "compile_options",
    "integrity_check",
    "quick_check",
)
_CREATED_WHEN_NAMED = ["json_each", "json_tree", *(f"pragma_{name}" for name in _PRAGMA_TABLES)]
# Errors of the file, not of the query.
_OF_THE_FILE = re.compile("BUSY|LOCKED|NOTADB|CORRUPT|IOERR|CANTOPEN|READONLY|PERM|FULL")


@dataclass(slots=True)
class Result:
    """The columns and rows of a query; the rows can be iterated over once, and are counted meanwhile."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]
    count: int = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self.rows:
            self.count += 1
            yield row


@dataclass(slots=True)
class _Guard:
    """SQLite's authorizer, called before a statement does anything: it allows only reading."""

    refused: list[str] = field(default_factory=list)

    def __call__(self, action: int, first: str | None, second: str | None, *_of: str | None) -> int:
        if action in _READING:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA:
            is_setting = first in ("user_version", "journal_mode")
            if _PRAGMAS.fullmatch(first or "") or (is_setting and second is None):
                return sqlite3.SQLITE_OK
            self.refused.append(f"PRAGMA {first}")
        else:
            self.refused.append(_ACTIONS.get(action, "what it does"))
        return sqlite3.SQLITE_DENY


@contextmanager
def select(ledger: Ledger, query: str) -> Iterator[Result]:
    """The answer to one query, with the ledger as it is at one moment.

    Raises:
        ValueError: it is not a query, would change something, or SQLite cannot answer it; also raised
            while its rows are read.
        OSError: the ledger cannot be read.
    """
    _check_beginning(query)
    guard = _Guard()
    with ledger.reading() as connection:
        cursor = connection.cursor()
        cursor.row_factory = None
        for name in _CREATED_WHEN_NAMED:
            # If this SQLite does not have one, a query that names it says so.
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
        raise ValueError("the query is not valid UTF-8") from error
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
            f"the query starts with {word[0]!r}, and nothing was done: only reading is allowed here, "
            f"with {', '.join(BEGINNINGS[:-1])} or {BEGINNINGS[-1]}"
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
    """Turn SQLite's error about a query into one sentence."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        name: str = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_")
        if name.startswith("INTERRUPT"):
            raise KeyboardInterrupt from error
        if _OF_THE_FILE.match(name):
            raise
        if guard.refused:
            raise ValueError(
                f"the query asks for {guard.refused[0]}, and nothing was done: only reading is allowed"
            ) from error
        if "one statement" in str(error):
            raise ValueError("the query has several statements; run one at a time") from error
        if "binding" in str(error):
            raise ValueError(
                "the query has a placeholder (? or :name); write the value instead"
            ) from error
        connection.set_authorizer(None)
        raise ValueError(f"SQLite says: {error}{_hint(connection, query, str(error))}") from error


def _hint(connection: Any, query: str, message: str) -> str:
    """`; did you mean ...?`, where a table or column does not exist."""
    missing = re.fullmatch(r"no such (table|column): (.+)", message)
    if not missing:
        return ""
    tables = tables_of(connection)
    name = missing[2].rpartition(".")[2]
    if missing[1] == "table":
        return did_you_mean(name, tables)
    named = [table for table in tables if re.search(rf"\b{table}\b", query, re.IGNORECASE)]
    columns = [
        row[1]
        for table in named
        for row in connection.execute(f'PRAGMA table_info("{table}")').fetchall()
    ]
    return did_you_mean(name, columns) if columns else ""


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


def schema_docs(ledger: Ledger) -> list[Table]:
    """All tables and views of this ledger, with the comments of schema.sql; an older version has fewer."""
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
    """Comments by table and column ('': of the table itself). Comment lines belong to what follows them."""
    schema = files("qa_research.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
    found: dict[tuple[str, str], str] = {}
    table = ""
    before: list[str] = []
    for line in schema.splitlines():
        if comment := _COMMENT.fullmatch(line):
            before.append(comment[1])
            continue
        if start := _TABLE.match(line):
            table = start[1]
            found[table, ""] = " ".join(before)
        elif column := _COLUMN.match(line):
            found[table, column[1]] = " ".join([*before, *([column[2]] if column[2] else [])])
        before = []
    return found
