"""Draws an explanation into its folder: one sheet, one page, and each figure alone."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from qa_research.report.explanation_figures import figures_of
from qa_research.report.explanation_page import explanation_page
from qa_research.report.explanation_sheet import explanation_sheet
from qa_research.report.explanation_story import read_story
from qa_research.report.explanation_words import CAPTIONS

SHEET_DPI = 110
FIGURE_DPI = 144


@dataclass(frozen=True)
class Drawn:
    """Where the sheet, the page and the figures lie."""

    sheet: Path
    page: Path
    figures: tuple[Path, ...]


def draw_explanation(folder: Path) -> Drawn:
    """Draw what explanation.json and arrays.npz hold; the same two files give the same bytes.

    Raises:
        FileNotFoundError: one of the two is not there.
        ValueError: they are of another format, or do not belong together.
    """
    story = read_story(folder)
    pictures = {name: png(figure, FIGURE_DPI) for name, figure in figures_of(story)}
    drawn = Drawn(
        folder / "sheet.png",
        folder / "explanation.html",
        tuple(folder / "figures" / f"{name}.png" for name in pictures),
    )
    drawn.figures[0].parent.mkdir(exist_ok=True)
    for path, content in zip(drawn.figures, pictures.values(), strict=True):
        _write(path, content)
    # What another explanation left here would be taken for this one's.
    for name in CAPTIONS.keys() - pictures.keys():
        (folder / "figures" / f"{name}.png").unlink(missing_ok=True)
    _write(drawn.sheet, png(explanation_sheet(story), SHEET_DPI))
    _write(drawn.page, explanation_page(story, pictures).encode())
    return drawn


def png(figure: Figure, dpi: int) -> bytes:
    """A figure as the bytes of a PNG, without a word on what made it."""
    metadata: Mapping[str, None] = {"Software": None}
    content = BytesIO()
    figure.savefig(content, format="png", dpi=dpi, metadata=dict(metadata))
    return content.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    before = path.with_name(f".{path.name}.tmp")
    before.write_bytes(content)
    os.replace(before, path)
