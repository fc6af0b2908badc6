"""A document as a PDF by typst: vector pictures, embedded fonts, tagged for screen readers.

It conforms to PDF/UA-1 and PDF/A-2a, which typst checks, and is the same file for the same document.
"""

import re
import tempfile
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typst
from matplotlib.font_manager import findfont, get_font

from qa_research.files import write_text
from qa_research.pages.document import (
    Block,
    Code,
    Command,
    Document,
    Live,
    Paragraph,
    Passage,
    Picture,
    Piece,
    Table,
    Text,
    Value,
)
from qa_research.pages.markup import plain_text
from qa_research.text import disarmed

STANDARDS: Any = ["ua-1", "a-2a"]
# The fonts of text, the first that has a character; the second is that of the pictures and has more scripts.
TEXT, WIDE = "Libertinus Serif", "DejaVu Sans"
# Points: the width and the greatest height of a picture on a page of A4, and that of one that is upright.
WIDTH, HEIGHT, UPRIGHT = 482, 380, 640
# Characters: longer cells of a table may be broken into lines; longer ones than this have no more room.
SHORT, LONG = 24, 60
ABSENT = "□"
# Of a passage; `true` is a word of typst's own.
MARKS = {"": "text", "given": "given", "true": "expected", "both": "both"}
STYLE = """
#set page(paper: "a4", margin: (x: 2cm, y: 2.2cm), footer: context align(center, text(8pt, luma(90),
  counter(page).display("1 / 1", both: true))))
#set par(justify: false, leading: 0.6em)
#show heading.where(level: 1): it => block(above: 0pt, below: 0.9em, text(18pt, it.body))
#show heading.where(level: 2): it => block(above: 1.6em, below: 0.8em, sticky: true, text(13pt, it.body))
#show figure: set block(breakable: false, above: 1.2em, below: 1.2em)
#show figure.caption: it => text(9pt, luma(60), align(left, it.body))
#show raw: set text(8.5pt, font: ("DejaVu Sans Mono", "DejaVu Sans"))
#set table(stroke: (x: none, y: 0.4pt + luma(190)), inset: (x: 4pt, y: 3.5pt))
#show table: set text(9pt)
#show table: set par(leading: 0.45em)
#let command(body) = block(width: 100%, fill: luma(244), inset: 7pt, radius: 3pt, body)
#let lack(body) = block(
  stroke: (left: 2pt + rgb("#a85400")), inset: (left: 7pt, y: 3pt), text(luma(60), body))
#let hint(body) = text(9pt, luma(60), body)
#let given(body) = highlight(fill: rgb("#fbd9a8"), strong(body))
#let expected(body) = underline(stroke: 1.2pt + rgb("#2c7a3f"), offset: 2pt, body)
#let both(body) = given(underline(stroke: 1.2pt + rgb("#2c7a3f"), offset: 2pt, body))
#let verdict(body) = text(12pt, body)
"""


def document_pdf(document: Document, fonts: Sequence[Path] = ()) -> bytes:
    """The document as a PDF; `fonts`: files of fonts with characters that ours lack.

    Raises:
        ValueError: a font cannot be read.
        typst.TypstError: what typst cannot lay out.
    """
    paper = _Paper(fonts)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for picture in document.pictures():
            write_text(root / f"{picture.name}.svg", paper.known(picture.svg))
        source = root / "document.typ"
        write_text(source, paper.document(document))
        made = typst.compile(
            source,
            root=root,
            font_paths=[Path(_ours()).parent, *{font.parent for font in fonts}],
            ignore_system_fonts=True,
            pdf_standards=STANDARDS,
            timestamp=document.moment,
        )
    assert isinstance(made, bytes)
    return made


def check_fonts(fonts: Sequence[Path]) -> None:
    """Raise ValueError if a file is not a font, before any slow work."""
    for font in fonts:
        _signs(font)


def picture_png(picture: Picture, dpi: int = 130) -> bytes:
    """A picture as PNG on white paper; `dpi`: dots per inch."""
    width, height = size_of(picture.svg)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_text(root / "picture.svg", picture.svg)
        source = root / "page.typ"
        page = f"#set page(width: {width}pt, height: {height}pt, margin: 0pt, fill: white)"
        write_text(source, f'{page}\n#image("picture.svg", width: 100%)')
        made = typst.compile(
            source,
            root=root,
            format="png",
            ppi=dpi,
            font_paths=[Path(_ours()).parent],
            ignore_system_fonts=True,
        )
    assert isinstance(made, bytes)
    return made


def absent_characters(document: Document, fonts: Sequence[Path] = ()) -> list[str]:
    """The names of the scripts, or characters, that the PDF cannot show, such as `CJK` or `HIRAGANA`.

    Raises:
        ValueError: a font cannot be read.
    """
    paper = _Paper(fonts)
    paper.document(document)
    return sorted(
        {unicodedata.name(sign, f"U+{ord(sign):04X}").split()[0] for sign in paper.absent}
    )


class _Paper:
    """Writes typst's language; remembers which characters no font has."""

    def __init__(self, fonts: Sequence[Path]) -> None:
        self.fonts = fonts
        self.signs = _signs(Path(_ours())).union(*map(_signs, fonts))
        self.absent: set[str] = set()

    def known(self, text: str) -> str:
        """`text` with a square in place of each character that no font has."""
        absent = {sign for sign in set(text) if ord(sign) not in self.signs and sign not in "\n\t"}
        self.absent |= absent
        return "".join(ABSENT if sign in absent else sign for sign in text)

    def string(self, text: str) -> str:
        """A string of typst's, in which nothing of the text is obeyed."""
        shown = self.known(disarmed(text))
        return '"' + shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    def document(self, document: Document) -> str:
        families = [TEXT, WIDE, *(get_font(str(font)).family_name for font in self.fonts)]
        lines = [
            f"#set document(title: {self.string(document.title)})",
            f'#set text(font: ({", ".join(map(self.string, families))}), size: 10.5pt, lang: "en")',
            STYLE,
            f"#heading(level: 1, {self.string(document.title)})",
            *map(self.block, document.lead),
        ]
        for section in document.sections:
            lines.append(f"#heading(level: 2, {self.string(section.heading)})")
            lines += map(self.block, section.blocks)
        return "\n\n".join(lines)

    def block(self, block: Block) -> str:
        match block:
            case Paragraph():
                body = self.words(block.text)
                return body if block.kind == "text" else f"#{block.kind}[{body}]"
            case Command():
                about = f"#{self.string(block.about)}\n" if block.about else ""
                return f"{about}#command(raw({self.string(block.line)}))"
            case Table():
                return self.table(block)
            case Picture():
                return self.picture(block)
            case Live():
                return "\n\n".join(map(self.block, block.still))

    def words(self, text: Text) -> str:
        return "".join(map(self.piece, text))

    def piece(self, piece: Piece) -> str:
        if isinstance(piece, Code):
            return f"#raw({self.string(piece.text)})"
        if isinstance(piece, Passage):
            return "".join(f"#{MARKS[mark]}({self.string(text)})" for text, mark in piece.pieces)
        if isinstance(piece, Value):
            # A value is not broken between lines unless it is a sentence.
            text = self.string(piece.text)
            return f"#box({text})" if len(piece.text) < 12 and " " not in piece.text else f"#{text}"
        return f"#{self.string(piece if isinstance(piece, str) else piece.text)}"

    def table(self, table: Table) -> str:
        has_head = any(column.name for column in table.columns)
        widths = ", ".join(_widths(table))
        sides = ", ".join("right" if column.is_number else "left" for column in table.columns)
        head = ", ".join(f"strong({self.string(column.name)})" for column in table.columns)
        cells = [f"table.header({head})"] if has_head else []
        for row in table.rows:
            first, *others = (f"[{self.words(cell)}]" for cell in row)
            cells.append(", ".join([f"strong{first}", *others]))
        body = ",\n  ".join(cells)
        caption = f"#hint[{self.words(table.caption)}]\n" if table.caption else ""
        return f"{caption}#table(columns: ({widths},), align: ({sides},),\n  {body},\n)"

    def picture(self, picture: Picture) -> str:
        width, height = size_of(picture.svg)
        scale = min(1.0, WIDTH / width, (HEIGHT if height <= width else UPRIGHT) / height)
        name = self.string(f"{picture.name}.svg")
        image = f"image({name}, width: {width * scale:.1f}pt, alt: {self.string(picture.alt)})"
        return f"#figure({image}, caption: [{self.words(picture.caption)}], numbering: none)"


def _widths(table: Table) -> list[str]:
    """The widths of a table's columns: what is left is divided among those that may be broken into lines.

    These are the columns with long texts, or that with the longest; a column with a long word gets more.
    """
    cells = [[plain_text(row[i]) for row in table.rows] for i in range(len(table.columns))]
    longest = [max(map(len, texts), default=0) for texts in cells]
    words = [max((len(w) for text in texts for w in text.split()), default=0) for texts in cells]
    broken = {i for i, length in enumerate(longest) if length > SHORT} or {
        longest.index(max(longest))
    }
    shares = [
        max(min(length, LONG), 2.4 * word) for length, word in zip(longest, words, strict=True)
    ]
    return [f"{share:.0f}fr" if i in broken else "auto" for i, share in enumerate(shares)]


def size_of(svg: str) -> tuple[float, float]:
    """The width and height of a drawing in points.

    Raises:
        ValueError: it has none.
    """
    head = svg[: svg.index(">", svg.index("<svg"))]
    found = [re.search(rf'\b{name}="([\d.]+)(?:pt)?"', head) for name in ("width", "height")]
    if None in found:
        raise ValueError("a drawing has no width and height in points")
    width, height = (float(match[1]) for match in found if match)
    return width, height


def _ours() -> str:
    return findfont(WIDE)


@cache
def _signs(font: Path) -> frozenset[int]:
    try:
        return frozenset(get_font(str(font)).get_charmap())
    except (OSError, RuntimeError) as error:
        raise ValueError(f"--font {font} cannot be read as a font: {error}") from error
