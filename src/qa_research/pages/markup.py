"""A document as one self-contained HTML file. Its values carry their origins, in a block named `origins`."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from qa_research.pages.document import Document, Key, Live, Picture, Text
from qa_research.pages.html import one_file
from qa_research.text import csv_line

# Of the block `origins`.
FORMAT = 1
KIT = ("kit.css", "charts.css", "document.css", "page.js", "charts.js")


def document_page(
    document: Document,
    package: str,
    style: str,
    scripts: Sequence[str],
    about: Mapping[str, Any],
) -> str:
    """The page of a document.

    What moves is drawn by the templates, `style` and `scripts` of `package`. `about`: what else the block
    `origins` says of the page, as JSON's values.
    """
    places = {id(value): place for place, value in enumerate(document.values())}
    values = {
        "document": document,
        "place": lambda value: places[id(value)],
        "live": {
            block.part: block.values for block in document.blocks() if isinstance(block, Live)
        },
        "origins": origins(document) | dict(about),
    }
    filters = {"kind": lambda thing: type(thing).__name__.lower(), "image": _image}
    return one_file(package, "document.html.jinja", style, scripts, values, filters, KIT)


def origins(document: Document) -> dict[str, Any]:
    """What a check of the page needs: each value with its origin, and a digest of each picture's data."""
    return {
        "format": FORMAT,
        "values": [{"text": value.text, "origin": value.origin} for value in document.values()],
        "pictures": {picture.name: digest(picture) for picture in document.pictures()},
    }


def digest(picture: Picture) -> str:
    """sha256 of a picture's data, as they are written to its CSV file."""
    return hashlib.sha256(table_of(picture).encode()).hexdigest()


def table_of(picture: Picture) -> str:
    """A picture's data as CSV; shorter columns are empty at their ends."""
    columns = list(picture.data.values())
    n_rows = max(map(len, columns), default=0)
    rows: list[list[Any]] = [
        [column[i] if i < len(column) else None for column in columns] for i in range(n_rows)
    ]
    return "".join(csv_line(row) for row in [list(picture.data), *rows])


def plain_text(text: Text) -> str:
    """A text without its origins."""
    return "".join(
        piece if isinstance(piece, str) else "" if isinstance(piece, Key) else piece.text
        for piece in text
    )


def _image(svg: str) -> str:
    """A drawing as an address that an image can have."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
