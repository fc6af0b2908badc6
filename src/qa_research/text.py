"""Text output: lines, JSON, CSV and aligned rows; and the known name that a wrong one probably means.

Everything that is printed goes through here or through a `Screen` of console.py, so that text of data is
shown and never obeyed. Ruff refuses `print` elsewhere.
"""

import difflib
import json
import math
import re
import reprlib
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from rich.cells import cell_len

# Rows aligned at once, so that a million need not be in memory.
BLOCK = 5_000
NULL = "-"
# What a terminal obeys (C0, DEL, C1), what reorders or breaks a line (bidirectional overrides and isolates,
# line and paragraph separators), what cannot be encoded (surrogates), and text that nobody sees (tags).
_ARMED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict = 4, 8, 8
_SHORT.maxstring = _SHORT.maxother = 200
_OF_SHELL = re.compile(f"[\n\t]|{_ARMED.pattern}")


def disarmed(text: str, lines: bool = True) -> str:
    """`text` with everything that is not to be seen but to be obeyed spelled out: ESC as `\\x1b`.

    Letters, marks, emoji and their joiners stay. `lines`: so do line breaks and tabs; else they are spelled
    out, too, as in a cell of a table.

    >>> disarmed("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    text = text.replace("\r\n", "\n") if lines else text
    found = _ARMED.sub(lambda match: repr(match[0])[1:-1], text)
    return found if lines else found.replace("\n", "\\n").replace("\t", "\\t")


def print_line(text: object = "", end: str = "\n") -> None:
    """Print on stdout, disarmed."""
    print(disarmed(str(text)), end=end)


def print_note(text: object) -> None:
    """Print a line on stderr, disarmed."""
    print(disarmed(str(text)), file=sys.stderr)


def print_data(parts: Iterable[str]) -> None:
    """Write data to stdout: byte for byte to a file or a pipe, disarmed to a terminal."""
    seen_by_a_person = sys.stdout.isatty()
    for part in parts:
        sys.stdout.write(disarmed(part) if seen_by_a_person else part)


def print_json(value: Any) -> None:
    """Print what --json prints, for every verb."""
    print(json_text(value, indent=2))


def json_text(value: Any, indent: int | None = None) -> str:
    """The value as JSON; what `disarmed` spells out is spelled as JSON does, so that nothing is lost.

    >>> json_text("\\x9b")
    '"\\\\u009b"'
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _ARMED.sub(lambda match: json.dumps(match[0])[1:-1], text)


def command_line(*words: object) -> str:
    """A command as a shell takes it: every command that we print for somebody to paste.

    What a terminal would obey is spelled out in the quotes of bash, zsh and ksh that read it back: $'\\x1b'.

    >>> command_line("qa-research", "evaluate", "my runs/a")
    "qa-research evaluate 'my runs/a'"
    """
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    if disarmed(word, lines=False) == word:
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    # Bytes and not characters, whose escapes not every shell knows; three octal digits end where they end.
    return "$'" + _OF_SHELL.sub(lambda found: _octal(found[0]), plain) + "'"


def _octal(text: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in text.encode(errors="surrogateescape"))


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """The rows as lines with columns of equal width on a screen, those numbered in `right` to the right."""
    cells = [[disarmed(cell, lines=False) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    is_right = [place in right for place in range(len(widths))]
    return [_line(row, widths, is_right) for row in cells]


def shown_value(value: object) -> str:
    """A value as Python spells it, cut short where it is long or deep, for a sentence.

    >>> shown_value([1, [2, [3, [4, [5]]]]])
    '[1, [2, [3, [...]]]]'
    """
    return _SHORT.repr(value)


def sentence_case(text: str) -> str:
    """The text as a sentence begins, without lowering what is written in capitals.

    >>> sentence_case("exact match"), sentence_case("F1 of equivalent"), sentence_case("Pearson")
    ('Exact match', 'F1 of equivalent', 'Pearson')
    """
    return text[:1].upper() + text[1:]


def in_digits(value: float, in_percent: bool) -> str:
    """A score as it is printed beside its interval: a decimal of a percentage, else three of a small number.

    >>> in_digits(93.14, True), in_digits(0.66, False), in_digits(1234.5, False)
    ('93.1', '0.660', '1234')
    """
    return f"{value:.1f}" if in_percent else f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def singular(examples: str) -> str:
    """One of what a config calls several, such as `questions`."""
    return examples.removesuffix("s")


def names_in(words: Iterable[str]) -> list[str]:
    """The names of an option that is given several times, or once with commas; each once.

    >>> names_in(["a, b", "a"])
    ['a', 'b']
    """
    return list(dict.fromkeys(name.strip() for word in words for name in word.split(",")))


def plural(number: int, noun: str) -> str:
    """`1 seed`, `8,100 questions`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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


def near_names(name: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean A or B?` for at most three of `known` that are similar; else `it has` and `otherwise`.

    >>> near_names("heads.1.3", ["heads.1.1", "heads.1.2", "layers.0"], "heads and layers")
    'did you mean heads.1.2 or heads.1.1?'
    """
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"it has {otherwise}"


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
        text = json_text(dict(zip(columns, values, strict=True)))
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
    return disarmed(str(value), lines=False)


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
