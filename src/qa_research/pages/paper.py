"""A document in typst's language, in which nothing of its texts is obeyed. Lays out nothing; see `pdf`."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import inf
from pathlib import Path

from matplotlib.font_manager import findfont, get_font

from qa_research.pages.document import (
    Block,
    Code,
    Command,
    Document,
    Key,
    Live,
    Paragraph,
    Passage,
    Picture,
    Piece,
    Quoted,
    Table,
    Text,
    Value,
)
from qa_research.pages.markup import plain_text
from qa_research.text import disarmed

# The fonts of text, the first that has a character; the second is that of the pictures and has more scripts.
TEXT, WIDE = "Libertinus Serif", "DejaVu Sans"
FIXED = "DejaVu Sans Mono"
# Points: the width of a picture on a page of A4, and its greatest height up to so much height for its width.
# A page has room for two of the usual ones, or for a usual one and a square one, with their captions.
WIDTH = 482
HEIGHTS = ((0.62, 300), (0.95, 265), (1.0, 340), (inf, 600))
# A table of so many rows is not divided between pages.
WHOLE = 12
# Letters of a word that fits into any line, into any cell of a table; a longer one may be broken after each
# `PART` of them.
LINE, CELL, PART = 70, 30, 10
# Between which a text has its own direction of writing, as `<bdi>` has it on a page.
ISOLATE, END = "\u2068", "\u2069"
# Points of a letter in a table, and of the room beside a cell.
LETTER, GAP = 5, 9
# Characters: longer cells of a table may be broken into lines; longer ones than this have no more room.
SHORT, LONG = 24, 60
ABSENT = "□"
# First and last number of the blocks of pictographs, flags and signs that are shown as such.
EMOJI = ((0x2600, 0x27BF), (0x1F000, 0x1FAFF))
JOINER = "\u200d"
# Shows nothing, and typst has no sign for it.
BYTE_ORDER = "\ufeff"
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
#let key(colour) = box(width: 0.7em, height: 0.7em, radius: 1.5pt, fill: colour) + sym.space.nobreak
#let verdict(body) = text(12pt, body)
"""


class Paper:
    """Writes typst's language; remembers which characters no font has."""

    def __init__(self, fonts: Sequence[Path]) -> None:
        """`fonts`: files of fonts that are asked after ours.

        Raises:
            ValueError: a font cannot be read.
        """
        self.fonts = fonts
        self.signs = signs_of(own_font()).union(*map(signs_of, fonts))
        self.absent: set[str] = set()

    def known(self, text: str) -> str:
        """`text` with a square in place of each character that no font has."""
        text = text.replace(BYTE_ORDER, "")
        absent = {sign for sign in set(text) if ord(sign) not in self.signs and sign not in "\n\t"}
        self.absent |= absent
        return "".join(ABSENT if sign in absent else sign for sign in text)

    def drawn(self, svg: str) -> str:
        """A drawing, in whose words a letter and its marks are one character, or the letter stands alone.

        typst draws a mark there as a sign of its own that belongs to no character, and refuses such a PDF:
        nobody could copy it or have it read aloud.
        """
        words = self.known(unicodedata.normalize("NFC", svg))
        return "".join(sign for sign in words if not _is_mark(sign) and sign != JOINER)

    def string(self, text: str) -> str:
        """A string of typst's, in which nothing of the text is obeyed."""
        shown = self.known(disarmed(text))
        return '"' + shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    def shown(self, text: str, function: str = "", fits: int = LINE) -> str:
        """A text as content, through a function of typst's, if any; `fits`: see `parts_of`."""
        strings = map(self.string, parts_of(text, fits))
        return "#box()".join(f"#{function}({string})" for string in strings)

    def isolated(self, *shown: str) -> str:
        """Content in its own direction of writing, which does not turn what is around it."""
        return f'#"{ISOLATE}"{"".join(shown)}#"{END}"'

    def document(self, document: Document) -> str:
        more = [self.string(get_font(str(font)).family_name) for font in self.fonts]
        families = ", ".join([self.string(WIDE), *more])
        lines = [
            f"#set document(title: {self.string(document.title)})",
            f'#set text(font: ({self.string(TEXT)}, {families}), size: 10.5pt, lang: "en")',
            f"#show raw: set text(8.5pt, font: ({self.string(FIXED)}, {families}))",
            STYLE,
            f"#heading(level: 1)[{self.shown(document.title)}]",
            *map(self.block, document.lead),
        ]
        for section in document.sections:
            lines.append(f"#heading(level: 2)[{self.shown(section.heading)}]")
            lines += map(self.block, section.blocks)
        return "\n\n".join(lines)

    def block(self, block: Block) -> str:
        match block:
            case Paragraph():
                body = self.words(block.text)
                return body if block.kind == "text" else f"#{block.kind}[{body}]"
            case Command():
                about = f"#block(sticky: true)[{self.shown(block.about)}]\n" if block.about else ""
                return f"{about}#command[{self.shown(block.line, 'raw')}]"
            case Table():
                return self.table(block)
            case Picture():
                return self.picture(block)
            case Live():
                return "\n\n".join(map(self.block, block.still))

    def words(self, text: Text, fits: int = LINE) -> str:
        return "".join(self.piece(piece, fits) for piece in text)

    def piece(self, piece: Piece, fits: int) -> str:
        match piece:
            case Key():
                return f"#key(rgb({self.string(piece.colour)}))"
            case Code():
                return self.shown(piece.text, "raw", fits)
            case Passage():
                marked = [self.shown(text, MARKS[mark], fits) for text, mark in piece.pieces]
                return self.isolated(*marked)
            case Quoted():
                return self.isolated(self.shown(piece.text, "", fits))
            case Value():
                # A value is not broken between lines unless it is a sentence.
                whole = len(piece.text) < 12 and " " not in piece.text
                return self.shown(piece.text, "box" if whole else "", fits)
            case str():
                return self.shown(piece, "", fits)

    def table(self, table: Table) -> str:
        has_head = any(column.name for column in table.columns)
        widths = ", ".join(_widths(table))
        sides = ", ".join("right" if column.is_number else "left" for column in table.columns)
        head = ", ".join(f"strong[{self.shown(column.name, '', CELL)}]" for column in table.columns)
        cells = [f"table.header({head})"] if has_head else []
        for row in table.rows:
            first, *others = (f"[{self.words(cell, CELL)}]" for cell in row)
            cells.append(", ".join([f"strong{first}", *others]))
        body = ",\n  ".join(cells)
        # The caption stays on the page of the table.
        caption = (
            f"#block(sticky: true)[#hint[{self.words(table.caption)}]]\n" if table.caption else ""
        )
        shown = f"table(columns: ({widths},), align: ({sides},),\n  {body},\n)"
        is_whole = len(table.rows) <= WHOLE
        return f"{caption}#block(breakable: {str(not is_whole).lower()}, {shown})"

    def picture(self, picture: Picture) -> str:
        width, height = size_of(picture.svg)
        highest = next(most for shape, most in HEIGHTS if height / width <= shape)
        scale = min(1.0, WIDTH / width, highest / height)
        name = self.string(f"{picture.name}.svg")
        image = f"image({name}, width: {width * scale:.1f}pt, alt: {self.string(picture.alt)})"
        return f"#figure({image}, caption: [{self.words(picture.caption)}], numbering: none)"

    def absent_names(self) -> tuple[str, ...]:
        """What no font has of what was written so far, such as `CJK` or `emoji`."""
        return tuple(sorted(set(map(called, self.absent))))


def called(sign: str) -> str:
    """What a character is called in a sentence: by its script, as `emoji`, or by its own name.

    >>> called("東"), called("あ"), called("🎓"), called("⸢"), called("\ue000")
    ('CJK', 'Hiragana', 'emoji', 'TOP LEFT HALF BRACKET', 'U+E000')
    """
    name = unicodedata.name(sign, f"U+{ord(sign):04X}")
    if unicodedata.category(sign)[0] in "LMN":
        script = name.split()[0]
        return script if script == "CJK" else script.capitalize()
    return "emoji" if any(first <= ord(sign) <= last for first, last in EMOJI) else name


def parts_of(text: str, fits: int) -> list[str]:
    """A text in parts between which a line may be broken, also within words of more than `fits` letters.

    Never before a mark or a joiner, which would be torn from its letter.

    >>> parts_of("a " + "b" * 31, 30), parts_of("a " + "b" * 30, 30)
    (['a bbbbbbbbbb', 'bbbbbbbbbb', 'bbbbbbbbbbb'], ['a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'])
    """
    cuts = [0]
    for word in re.finditer(rf"\S{{{fits + 1},}}", text):
        for place in range(word.start() + PART, word.end() - PART + 1, PART):
            while place < word.end() and (
                JOINER in text[place - 1 : place + 1] or _is_attached(text[place])
            ):
                place += 1
            if cuts[-1] < place < word.end():
                cuts.append(place)
    return [text[first:last] for first, last in pairwise([*cuts, len(text)])]


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign) in ("Mn", "Me")


def _is_attached(sign: str) -> bool:
    """Whether it belongs to the letter before it: also a spacing mark, and the colour of an emoji's skin."""
    return _is_mark(sign) or unicodedata.category(sign) in ("Mc", "Sk")


def _widths(table: Table) -> list[str]:
    """The widths of a table's columns: in proportion to their texts where all are short.

    Else what is left is divided among the columns with long texts, which may be broken into lines; one with
    a long word gets more.
    """
    cells = [[plain_text(row[i]) for row in table.rows] for i in range(len(table.columns))]
    longest = [max(map(len, texts), default=0) for texts in cells]
    if max(longest) <= SHORT and any(column.name for column in table.columns):
        named = zip(longest, table.columns, strict=True)
        return [f"{max(length, len(column.name), 1)}fr" for length, column in named]
    words = [max((len(w) for text in texts for w in text.split()), default=0) for texts in cells]
    broken = {i for i, length in enumerate(longest) if length > SHORT} or {
        longest.index(max(longest))
    }
    shares = [
        max(min(length, LONG), 2.4 * word) for length, word in zip(longest, words, strict=True)
    ]
    return [
        f"{share:.0f}fr" if i in broken else _narrow(column.name, longest[i])
        for i, (share, column) in enumerate(zip(shares, table.columns, strict=True))
    ]


def _narrow(name: str, longest: int) -> str:
    """The width of a column whose cells are not broken: its name is, where it is longer than they are."""
    if len(name) <= longest:
        return "auto"
    return f"{LETTER * max(longest, *map(len, name.split())) + GAP}pt"


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


def own_font() -> Path:
    """The file of the font that has most of our characters; those of its styles lie beside it."""
    return Path(findfont(WIDE))


@cache
def signs_of(font: Path) -> frozenset[int]:
    """The characters that a font has, as numbers.

    Raises:
        ValueError: the file cannot be read as a font.
    """
    try:
        return frozenset(get_font(str(font)).get_charmap())
    except (OSError, RuntimeError) as error:
        raise ValueError(f"--font {font} cannot be read as a font: {error}") from error
