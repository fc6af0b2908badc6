"""What a page says before it is HTML or PDF: sections of text, tables and pictures.

A renderer (markup.py, pdf.py) shows every block; nothing here draws or writes. Values that are printed keep
where they come from, so that a page can be checked against the files it was made of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Value:
    """A number, name or date as it is printed, and its origin, as JSON's values."""

    text: str
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Quoted:
    """Text of somebody's data, such as a question: shown as it is, in its own direction of writing."""

    text: str


@dataclass(frozen=True)
class Passage:
    """Text of somebody's data, such as a context, in pieces of which some are marked.

    `pieces`: (text, mark). `given` is the answer that was given, `true` the true one, `both` is both.
    """

    pieces: tuple[tuple[str, Literal["", "given", "true", "both"]], ...]

    @property
    def text(self) -> str:
        """The whole, unmarked."""
        return "".join(text for text, _ in self.pieces)


@dataclass(frozen=True)
class Code:
    """A name of the program's own, such as a key or a class."""

    text: str


@dataclass(frozen=True)
class Key:
    """A spot in the colour of a line that a picture or a chart has. `style`: the line's class on the page."""

    style: str
    colour: str


# A plain string is the page's own words.
Piece = str | Value | Quoted | Passage | Code | Key
Text = tuple[Piece, ...]


@dataclass(frozen=True)
class Paragraph:
    """`kind`: `verdict` stands out, `hint` is small, `lack` says what is missing."""

    text: Text
    kind: Literal["text", "verdict", "hint", "lack"] = "text"


@dataclass(frozen=True)
class Command:
    """A command line to copy; `about` is what it does, before it."""

    line: str
    about: str = ""


@dataclass(frozen=True)
class Column:
    """Of a table; numbers are aligned to the right."""

    name: str
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """`rows` [row][column]; the first column names the row."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Text, ...], ...]
    caption: Text = ()


@dataclass(frozen=True)
class Picture:
    """A drawing and what to see in it.

    `name`: of its files, without an ending. `svg`: the file's content. `alt`: what somebody who does not see
    it needs to know. `data`: its columns, by name.
    """

    name: str
    svg: str
    alt: str
    caption: Text
    data: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Live:
    """What moves on a screen and stands still on paper.

    `part`: the name of its template and script; `values`: what they read, as JSON's values; `still`: what
    is printed in its place.
    """

    part: str
    values: Any
    still: tuple["Block", ...] = ()


Block = Paragraph | Command | Table | Picture | Live


@dataclass(frozen=True)
class Section:
    """`name` is its address on the page, of letters and hyphens."""

    name: str
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """`lead`: what the first screen says before the first section.

    `moment`: the date of what is told, in seconds since 1970; not of the telling, which may be repeated.
    """

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]
    moment: int = 0

    def blocks(self) -> Iterator[Block]:
        """All blocks in order, those on paper after the one that moves."""
        yield from _all(self.lead)
        for section in self.sections:
            yield from _all(section.blocks)

    def values(self) -> list[Value]:
        """Every value on the page, in the order in which it is printed."""
        return [piece for text in self._texts() for piece in text if isinstance(piece, Value)]

    def pictures(self) -> list[Picture]:
        """Every picture, in order."""
        return [block for block in self.blocks() if isinstance(block, Picture)]

    def _texts(self) -> Iterator[Text]:
        for block in self.blocks():
            if isinstance(block, Paragraph):
                yield block.text
            elif isinstance(block, Table):
                yield block.caption
                for row in block.rows:
                    yield from row
            elif isinstance(block, Picture):
                yield block.caption


def _all(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Live):
            yield from _all(block.still)
