"""Text files of columns, whose first line may name them; every fault is told by its line."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qa_research.files import read_text
from qa_research.text import plural


@dataclass(frozen=True)
class Table:
    """A file as numbered lines, which `cells` takes apart.

    `name`: what the user calls the file. `expected`: what it should hold, for errors. `is_named`: its first
    line names the columns, as `header` has them; else that line is one of `lines`.
    """

    name: str
    expected: str
    header: tuple[str, ...]
    is_named: bool
    lines: Sequence[tuple[int, str]]
    cells: Callable[[str], list[str]]

    def rows(self) -> Iterator[tuple[int, str, list[str]]]:
        """The number of each line, where it is, for an error, and its cells.

        Raises:
            ValueError: a line has more columns than the first, or fewer.
        """
        for number, line in self.lines:
            cells, where = self.cells(line), f"{self.name}, line {number}"
            if len(cells) != len(self.header):
                raise ValueError(
                    f"{where} has {plural(len(cells), 'column')}, and the first line has "
                    f"{len(self.header)} ({', '.join(self.header)})"
                )
            yield number, where, cells

    def places(self, needed: Iterable[str]) -> dict[str, int]:
        """Which columns have these names.

        Raises:
            ValueError: there is none, or more than one.
        """
        for name in needed:
            if (count := self.header.count(name)) != 1:
                shown = ", ".join(repr(column[:40]) for column in self.header[:6])
                what = f"the column {name!r} {count} times" if count else f"no column {name!r}"
                verb = "names" if self.is_named else "has"
                raise ValueError(
                    f"{self.name}, line 1 {verb} {what}: found {shown}; {self.expected}"
                )
        return {name: self.header.index(name) for name in needed}


def tab_table(path: str, key: str, encoding: str, option: str | None, expected: str) -> Table:
    """A file of columns between tabs, whose first line names them; quotes are characters like any other.

    `key`: what the user calls its path; `option`: what sets the encoding; `expected`: see `Table`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, or not text in that encoding.
    """
    name, ((_, first), *lines) = _numbered(path, key, encoding, option, expected)
    header = tuple(column.strip() for column in first.split("\t"))
    return Table(name, expected, header, True, lines, lambda line: line.split("\t"))


def loose_table(
    path: str, key: str, encoding: str, option: str | None, expected: str, columns: Sequence[str]
) -> Table:
    """A file of columns between commas or tabs, perhaps in quotes, or blanks; empty lines are skipped.

    A first line that names one of `columns`, in either case, names all; else these are the first columns.
    Arguments and errors are otherwise those of `tab_table`.
    """
    name, lines = _numbered(path, key, encoding, option, expected)
    lines = [(number, line) for number, line in lines if line.strip()]
    first = lines[0][1]
    mark = next((mark for mark in ",\t" if mark in first), None)
    cells = str.split if mark is None else partial(_in_quotes, mark=mark)
    header = tuple(cell.strip().lower() for cell in cells(first))
    if set(columns) & set(header):
        return Table(name, expected, header, True, lines[1:], cells)
    names = tuple(f"column {place}" for place in range(1, len(header) + 1))
    header = (*columns, *names[len(columns) :])[: len(names)]
    return Table(name, expected, header, False, lines, cells)


def _numbered(
    path: str, key: str, encoding: str, option: str | None, expected: str
) -> tuple[str, list[tuple[int, str]]]:
    """What the user calls a file, and its lines."""
    name = f"{key}={path}"
    text = read_text(Path(path).expanduser(), name, encoding, option)
    if not text.strip():
        raise ValueError(f"{name} is empty; {expected}")
    lines = text.removesuffix("\n").split("\n")
    return name, [(i, line.removesuffix("\r")) for i, line in enumerate(lines, start=1)]


def _in_quotes(line: str, mark: str) -> list[str]:
    return next(csv.reader([line], delimiter=mark))
