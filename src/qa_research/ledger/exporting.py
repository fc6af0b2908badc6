"""Writes tables and views of the ledger as CSV or Parquet, block by block."""

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from qa_research.ledger.query import nearest, tables_of
from qa_research.ledger.runs import Ledger
from qa_research.text import csv_line

log = logging.getLogger(__name__)
Format = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
EVERYTHING = "asked_questions"
# Rows read at once, and of a Parquet file those of a row group.
BLOCK = 20_000
SECONDS_BETWEEN_LINES = 10.0
# Columns declared INTEGER that say yes or no; a view's count of the same name has no declared type.
FLAGS = {"pretrained", "counted", "exact_match", "first_gold", "git_modified"}
# JSON that is a list of texts.
LISTS = {"golds"}
Kind = Literal["integer", "real", "text", "flag", "list", "null"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A table or view that was written."""

    table: str
    rows: int
    file: Path


def format_of(file: Path, wanted: str | None) -> Format:
    """The format by the file's suffix, or the one that is wanted by name.

    Raises:
        ValueError: neither is known, or they contradict each other.
    """
    suffix = next((known for known in FORMATS if file.suffix.lower() == f".{known}"), None)
    if wanted is not None and wanted not in FORMATS:
        raise ValueError(f"--format {wanted} is not known; there are: {', '.join(FORMATS)}")
    if wanted is not None and suffix not in (None, wanted):
        raise ValueError(f"--format {wanted} contradicts the suffix of {file}; leave one away")
    for known in FORMATS:
        if known in (wanted, suffix):
            return known
    raise ValueError(
        f"{file} has no suffix that says its format: .csv or .parquet, or name it with --format; "
        "--all writes every table into a directory"
    )


def export_table(ledger: Ledger, table: str, file: Path, wanted: Format, force: bool) -> Exported:
    """Write one table or view to a file; its folder must be there.

    CSV is UTF-8 after RFC 4180 with a header, NULL nothing and an empty text "". Parquet has types:
    int64, double, string, bool for what says yes or no, and a list of strings for gold answers.

    Raises:
        ValueError: no such table.
        FileExistsError: the file is there, and not `force`.
        OSError: it cannot be written; what was there before stays.
    """
    _check_target(ledger, file, force)
    with ledger.reading() as connection:
        known = tables_of(connection)
        if table not in known:
            raise ValueError(f"--table {table}: {ledger.path} has none{nearest(table, known)}")
        return _write(connection, table, file, wanted)


def export_all(ledger: Ledger, folder: Path, wanted: Format, force: bool) -> list[Exported]:
    """Write every table and view to a file of its own, all as they are at one moment.

    The folder is made where there is none. Raises as `export_table` does, before anything is written.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is no directory; --all writes a file a table into one")
    with ledger.reading() as connection:
        files = {table: folder / f"{table}.{wanted}" for table in tables_of(connection)}
        folder.mkdir(parents=True, exist_ok=True)
        for file in files.values():
            _check_target(ledger, file, force)
        return [_write(connection, table, file, wanted) for table, file in files.items()]


def _check_target(ledger: Ledger, file: Path, force: bool) -> None:
    if not file.parent.is_dir():
        raise FileNotFoundError(f"{file} cannot be written: there is no directory {file.parent}")
    if file.is_dir():
        raise IsADirectoryError(
            f"{file} is a directory; name a file, or write every table with --all"
        )
    if file.resolve() == ledger.path.resolve():
        raise ValueError(f"{file} is the ledger itself; name another file")
    if file.exists() and not force:
        raise FileExistsError(f"{file} is there already; --force replaces it")


def _write(connection: Any, table: str, file: Path, wanted: Format) -> Exported:
    kinds = _kinds(connection, table)
    cursor = connection.cursor()
    cursor.row_factory = None
    blocks = _blocks(cursor.execute(f'SELECT * FROM "{table}"'), table)
    with _replacing(file) as temporary:
        write = _write_csv if wanted == "csv" else _write_parquet
        return Exported(table, write(blocks, kinds, temporary), file)


def _kinds(connection: Any, table: str) -> dict[str, Kind]:
    """What each column holds: as declared, or where a view computes it, as its values are."""
    kinds: dict[str, Kind] = {}
    for row in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
        name, declared = row["name"], row["type"]
        if declared == "INTEGER":
            kinds[name] = "flag" if name in FLAGS else "integer"
        elif declared == "TEXT":
            kinds[name] = "list" if name in LISTS else "text"
        elif declared == "REAL":
            kinds[name] = "real"
        else:
            kinds[name] = _kind_of_values(connection, table, name)
    return kinds


def _kind_of_values(connection: Any, table: str, column: str) -> Kind:
    rows = connection.execute(f'SELECT DISTINCT typeof("{column}") FROM "{table}"')
    found = {kind for (kind,) in rows} - {"null"}
    for kind in ("text", "real", "integer"):
        if kind in found:
            return kind
    return "null"


def _blocks(cursor: Any, table: str) -> Iterator[list[tuple[Any, ...]]]:
    written = 0
    next_line = time.monotonic() + SECONDS_BETWEEN_LINES
    while rows := cursor.fetchmany(BLOCK):
        yield rows
        written += len(rows)
        if time.monotonic() > next_line:
            next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            log.info("%s: %s rows written", table, f"{written:,}")


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """A temporary place beside `file` that takes its name when all is written and synced."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _write_csv(
    blocks: Iterator[list[tuple[Any, ...]]], kinds: dict[str, Kind], temporary: Path
) -> int:
    written = 0
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(csv_line(kinds))
        for rows in blocks:
            stream.writelines(map(csv_line, rows))
            written += len(rows)
    return written


def _write_parquet(
    blocks: Iterator[list[tuple[Any, ...]]], kinds: dict[str, Kind], temporary: Path
) -> int:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {
        "integer": pa.int64(),
        "real": pa.float64(),
        "text": pa.string(),
        "flag": pa.bool_(),
        "list": pa.list_(pa.string()),
        "null": pa.null(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    written = 0
    with ParquetWriter(temporary, schema) as writer:
        for rows in blocks:
            columns = [
                _converted(values, kind)
                for values, kind in zip(zip(*rows, strict=True), kinds.values(), strict=True)
            ]
            arrays = [pa.array(v, f.type) for v, f in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            written += len(rows)
    return written


def _converted(values: Sequence[Any], kind: Kind) -> Sequence[Any]:
    if kind == "flag":
        return [None if value is None else bool(value) for value in values]
    if kind == "list":
        return [None if value is None else json.loads(value) for value in values]
    return values
