"""The ledger's tables and views with their columns, and what schema.sql says of each."""

import re
from dataclasses import dataclass
from importlib.resources import files

from qa_research.ledger.ledger import Ledger
from qa_research.ledger.query import tables_of

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
