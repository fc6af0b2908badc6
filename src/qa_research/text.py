"""Text output: rows as an aligned table, CSV or JSON; and the known name that a wrong one probably means."""

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from rich.cells import cell_len

# Rows aligned at once, so that a million need not be in memory.
BLOCK = 5_000
NULL = "-"


def did_you_mean(name: str, known: Iterable[str], prefix: str = "", cutoff: float = 0.5) -> str:
    """`; did you mean NAME?` for the closest of `known`, or `; known: ...` if none is close.

    `prefix` is shown before each name. Case is ignored. `cutoff` in [0, 1]: how similar a name must be.

    >>> did_you_mean("lrr", ["lr", "decay"], "model.")
    '; did you mean model.lr?'
    """
    names = sorted(set(known))
    if near := nearest(name, names, cutoff):
        return f"; did you mean {prefix}{near}?"
    return f"; known: {', '.join(prefix + known_name for known_name in names) or 'none'}"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The one of `known` that is most similar to `name`, ignoring case; None if none is close."""
    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def table_lines(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], width: int | None
) -> Iterator[str]:
    """The rows as lines of aligned columns, numbers to the right, NULL as a dash.

    If they are wider than `width` (of a terminal; None: a pipe), each row becomes several lines, one for each
    column. Nothing is truncated.
    """
    left = iter(rows)
    block = list(islice(left, BLOCK))
    is_right = [
        all(isinstance(row[i], int | float | None) for row in block) for i in range(len(columns))
    ]
    header = [_cell(name) for name in columns]
    widths = [cell_len(name) for name in header]
    cells = [[_cell(value) for value in row] for row in block]
    _widen(widths, cells)
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        yield from _records(header, chain(block, left))
        return
    yield _line(header, widths, is_right)
    while cells:
        yield from (_line(row, widths, is_right) for row in cells)
        cells = [[_cell(value) for value in row] for row in islice(left, BLOCK)]
        _widen(widths, cells)


def csv_line(row: Iterable[Any]) -> str:
    """A line of CSV (RFC 4180) with its line end. NULL is nothing, and an empty text is \"\"."""
    return ",".join(map(_csv_field, row)) + "\r\n"


def json_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a JSON list of objects, one for each row.

    Raises:
        ValueError: two columns have the same name.
    """
    repeated = [name for name in dict.fromkeys(columns) if list(columns).count(name) > 1]
    if repeated:
        raise ValueError(
            f"--json needs distinct column names, and several are called {', '.join(repeated)}; rename "
            "them with AS"
        )
    before = "["
    for row in rows:
        values = map(_json_value, row)
        text = json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False)
        yield f"{before}\n  {text}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _records(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    width = max(map(cell_len, header))
    for number, row in enumerate(rows, start=1):
        yield f"row {number}"
        for name, value in zip(header, row, strict=True):
            yield f"  {_padded(name, width, False)}  {_cell(value)}"


def _widen(widths: list[int], rows: Iterable[Sequence[str]]) -> None:
    for row in rows:
        for place, cell in enumerate(row):
            widths[place] = max(widths[place], cell_len(cell))


def _line(row: Sequence[str], widths: Sequence[int], is_right: Sequence[bool]) -> str:
    cells = (_padded(*cell) for cell in zip(row, widths, is_right, strict=True))
    return "  ".join(cells).rstrip()


def _padded(text: str, width: int, is_right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if is_right else text + space


def _cell(value: Any) -> str:
    if value is None:
        return NULL
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else repr(value)
    # A line break would disrupt the table, and a control character the terminal.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


def _csv_field(value: Any) -> str:
    if value is None:
        return ""
    text = value.hex() if isinstance(value, bytes) else str(value)
    if text and not any(c in text for c in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _json_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    # JSON has no infinity. SQLite has no NaN, so this is the only number to convert.
    return str(value) if isinstance(value, float) and math.isinf(value) else value
