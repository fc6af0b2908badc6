"""Exports tables and views of the ledger as CSV or Parquet, block by block."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from qa_research.files import parse_json, written_folder, written_whole
from qa_research.ledger.query import tables_of
from qa_research.ledger.runs import Ledger
from qa_research.text import csv_line, did_you_mean

log = logging.getLogger(__name__)
Format = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
EVERYTHING = "asked_questions"
# Rows read at once; in Parquet, a row group.
BLOCK = 20_000
SECONDS_BETWEEN_LINES = 10.0
# Columns declared INTEGER that hold yes or no. A count of the same name in a view has no declared type.
FLAGS = {"pretrained", "counted", "exact_match", "first_gold", "git_modified"}
# Columns that hold JSON, a list of texts.
LISTS = {"golds"}
Kind = Literal["integer", "real", "text", "flag", "list", "null"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A table or view that was written."""

    table: str
    rows: int
    file: Path


def format_of(file: Path, wanted: str | None) -> Format:
    """The format by the file's suffix, or the one requested by name.

    Raises:
        ValueError: neither is known, or they contradict each other.
    """
    suffix = next((known for known in FORMATS if file.suffix.lower() == f".{known}"), None)
    if wanted is not None and wanted not in FORMATS:
        raise ValueError(f"--format must be {' or '.join(FORMATS)}, got {wanted!r}")
    if wanted is not None and suffix not in (None, wanted):
        raise ValueError(f"--format {wanted} contradicts the suffix of {file}; remove one of them")
    for known in FORMATS:
        if known in (wanted, suffix):
            return known
    raise ValueError(
        f"the format of {file} is not clear from its suffix; use .csv or .parquet, or --format (--all "
        "writes every table into a directory)"
    )


def export_table(ledger: Ledger, table: str, file: Path, wanted: Format, force: bool) -> Exported:
    """Write one table or view to a file; its folder must exist.

    CSV is UTF-8 after RFC 4180 with a header; NULL is nothing, an empty text is "". Parquet has types: int64,
    double, string, bool for yes or no, and a list of strings for gold answers.

    Raises:
        ValueError: there is no such table.
        FileExistsError: the file exists, and not `force`.
        OSError: it cannot be written; an earlier file stays.
    """
    _check_target(ledger, file, force)
    with ledger.reading() as connection:
        known = tables_of(connection)
        if table not in known:
            raise ValueError(
                f"--table {table}: {ledger.path} has no such table{did_you_mean(table, known)}"
            )
        return _write(connection, table, file, wanted)


def export_all(ledger: Ledger, folder: Path, wanted: Format, force: bool) -> list[Exported]:
    """Write every table and view to a file of its own, all as of the same moment, and all or none.

    The folder is created if necessary. Raises as `export_table` does, before anything is written.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(
            f"{folder} is not a directory; --all writes a file for each table into one"
        )
    with ledger.reading() as connection:
        files = {table: folder / f"{table}.{wanted}" for table in tables_of(connection)}
        for file in files.values():
            _check_file(ledger, file, force)
        with written_folder(folder, replace=True) as new:
            written = [_write(connection, t, new / file.name, wanted) for t, file in files.items()]
    return [replace(one, file=files[one.table]) for one in written]


def _check_target(ledger: Ledger, file: Path, force: bool) -> None:
    if not file.parent.is_dir():
        raise FileNotFoundError(f"{file} cannot be written: there is no directory {file.parent}")
    _check_file(ledger, file, force)


def _check_file(ledger: Ledger, file: Path, force: bool) -> None:
    if file.is_dir():
        raise IsADirectoryError(
            f"{file} is a directory; name a file, or write every table with --all"
        )
    if file.resolve() == ledger.path.resolve():
        raise ValueError(f"{file} is the ledger itself; name another file")
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise FileExistsError(
            f"{file} is a link or a device, and --force replaces only files; name another file"
        )
    if file.exists() and not force:
        raise FileExistsError(f"{file} already exists; --force replaces it")


def _write(connection: Any, table: str, file: Path, wanted: Format) -> Exported:
    kinds = _kinds(connection, table)
    cursor = connection.cursor()
    cursor.row_factory = None
    blocks = _blocks(cursor.execute(f'SELECT * FROM "{table}"'), table)
    if wanted == "csv":
        return Exported(table, _write_csv(blocks, kinds, file), file)
    return Exported(table, _write_parquet(blocks, kinds, file), file)


def _kinds(connection: Any, table: str) -> dict[str, Kind]:
    """What each column holds: as declared, or, if a view computes it, by the types of its values."""
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


def _write_csv(blocks: Iterator[list[tuple[Any, ...]]], kinds: dict[str, Kind], file: Path) -> int:
    written = 0
    with written_whole(file, durable=True) as stream:
        stream.write(csv_line(kinds))
        for rows in blocks:
            stream.writelines(map(csv_line, rows))
            written += len(rows)
    return written


def _write_parquet(
    blocks: Iterator[list[tuple[Any, ...]]], kinds: dict[str, Kind], file: Path
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
    with written_whole(file, "wb", durable=True) as stream, ParquetWriter(stream, schema) as writer:
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
        return [
            None if value is None else parse_json(value, "a list of the ledger") for value in values
        ]
    return values
