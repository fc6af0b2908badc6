"""Files of columns between tabs, whose first line names the columns; every fault is told by its line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from qa_research.files import read_text


@dataclass(frozen=True)
class Table:
    """A file as lines of cells. `name`: what the user calls it; quotes are characters like any other."""

    name: str
    header: tuple[str, ...]
    lines: Sequence[str]

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """Each line after the first: where it is, for an error, and its cells.

        Raises:
            ValueError: a line has more columns than the first, or fewer.
        """
        for number, line in enumerate(self.lines, start=2):
            cells, where = line.split("\t"), f"{self.name}, line {number}"
            if len(cells) != len(self.header):
                raise ValueError(
                    f"{where} has {len(cells)} columns, and the first line names {len(self.header)} "
                    f"({', '.join(self.header)})"
                )
            yield where, cells


def read_table(path: str, key: str, encoding: str, option: str | None, expected: str) -> Table:
    """The table in a file; `key`: what the user calls its path, `option`: what sets the encoding.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty (`expected` says what should be there), or not text in that encoding.
    """
    name = f"{key}={path}"
    text = read_text(Path(path).expanduser(), name, encoding, option)
    if not text.strip():
        raise ValueError(f"{name} is empty; {expected}")
    first, *lines = (line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    return Table(name, tuple(column.strip() for column in first.split("\t")), lines)
