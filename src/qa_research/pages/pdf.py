"""A document as a PDF by typst: vector pictures, embedded fonts, tagged for screen readers.

It conforms to PDF/UA-1 and PDF/A-2a, which typst checks, and is the same file for the same document.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typst

from qa_research.files import write_text
from qa_research.pages.document import Document, Picture
from qa_research.pages.paper import Paper, own_font, signs_of, size_of

STANDARDS: Any = ["ua-1", "a-2a"]


@dataclass(frozen=True)
class Pdf:
    """A PDF file; `absent`: the scripts or characters that it has squares for, as no font has them."""

    content: bytes
    absent: tuple[str, ...]


def document_pdf(document: Document, fonts: Sequence[Path] = ()) -> Pdf:
    """The document as a PDF; `fonts`: files of fonts with characters that ours lack.

    Raises:
        ValueError: a font cannot be read.
        typst.TypstError: what typst cannot lay out.
    """
    paper = Paper(fonts)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for picture in document.pictures():
            write_text(root / f"{picture.name}.svg", paper.drawn(picture.svg))
        source = root / "document.typ"
        write_text(source, paper.document(document))
        made = typst.compile(
            source,
            root=root,
            font_paths=[own_font().parent, *{font.parent for font in fonts}],
            ignore_system_fonts=True,
            pdf_standards=STANDARDS,
            timestamp=document.moment,
        )
    assert isinstance(made, bytes)
    return Pdf(made, paper.absent_names())


def check_fonts(fonts: Sequence[Path]) -> None:
    """Raise ValueError if a file is not a font, before any slow work."""
    for font in fonts:
        signs_of(font)


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
            font_paths=[own_font().parent],
            ignore_system_fonts=True,
        )
    assert isinstance(made, bytes)
    return made
