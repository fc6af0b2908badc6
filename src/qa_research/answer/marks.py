"""Texts with marked parts, printed: highlighted on a terminal, between brackets in a pipe."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

Kind = Literal["gold", "run", "match", "name"]
BRACKETS: dict[str, tuple[str, str]] = {
    "gold": ("[[", "]]"),
    "match": ("[[", "]]"),
    "run": ("{{", "}}"),
    "name": ("", ""),
}
_STYLES = {
    "gold": "bold green reverse",
    "match": "bold reverse",
    "run": "bold magenta underline",
    "name": "bold",
}
# Where the run's answer lies on the gold one, one colour must give way.
_BOTH = "bold green reverse underline"


@dataclass(frozen=True, slots=True)
class Mark:
    """Characters `begin` to `end` (exclusive) of a text, and what they are."""

    begin: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with marks, which may overlap."""

    text: str
    marks: tuple[Mark, ...] = ()

    def plain(self) -> str:
        """The text with brackets around its marks.

        The brackets of marks that overlap cross (`[[Ms {{Lund]] teaches}}`), those of one that lies
        in another are nested.
        """
        longest_first = sorted(self._real(), key=lambda mark: (mark.begin, -mark.end))
        brackets = []
        for i, mark in enumerate(longest_first):
            opening, closing = BRACKETS[mark.kind]
            brackets += [(mark.begin, 1, i, opening), (mark.end, 0, -i, closing)]
        pieces, at = [], 0
        for place, _, _, bracket in sorted(brackets):
            pieces += [self.text[at:place], bracket]
            at = place
        return "".join([*pieces, self.text[at:]])

    def styled(self) -> Text:
        """The text with its marks as styles."""
        real = self._real()
        edges = sorted(
            {0, len(self.text), *(edge for mark in real for edge in (mark.begin, mark.end))}
        )
        styled = Text()
        for begin, end in pairwise(edges):
            kinds = [mark.kind for mark in real if mark.begin <= begin and end <= mark.end]
            style = _BOTH if {"gold", "run"} <= set(kinds) else _STYLES[kinds[-1]] if kinds else ""
            styled.append(self.text[begin:end], style)
        return styled

    def _real(self) -> list[Mark]:
        return [mark for mark in self.marks if mark.begin < mark.end]


def whole(text: str, kind: Kind) -> Marked:
    """A text that is marked from its first to its last character."""
    return Marked(text, (Mark(0, len(text), kind),))


def say(*parts: Marked | str) -> None:
    """Print the parts as one paragraph; only a terminal wraps it."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(_styled(parts))
    else:
        print(_plain(parts))


def say_named(rows: Iterable[tuple[str, Sequence[Marked | str]]]) -> None:
    """Print a line a row: its name, then its parts, which begin below each other."""
    rows = list(rows)
    console = Console(highlight=False)
    if console.is_terminal:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        for name, parts in rows:
            table.add_row(Text(name, "dim"), _styled(parts))
        console.print(table)
        return
    width = max(len(name) for name, _ in rows)
    for name, parts in rows:
        print(f"{name:<{width}}  {_plain(parts)}")


def _plain(parts: Iterable[Marked | str]) -> str:
    return "".join(part if isinstance(part, str) else part.plain() for part in parts)


def _styled(parts: Iterable[Marked | str]) -> Text:
    marked = (Marked(part) if isinstance(part, str) else part for part in parts)
    return Text.assemble(*(part.styled() for part in marked))
