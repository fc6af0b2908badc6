"""All of an explanation on one sheet.

Draws an explanation into its folder: one sheet, one page, and each figure alone.
"""

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure, SubFigure

from qa_research.explain.images.page import explanation_page
from qa_research.explain.images.panels import (
    blanked_panel,
    class_panels,
    coefficients_panel,
    control_panel,
    curve_panels,
    figures_of,
    heat_panel,
    masks_panel,
    numbers_panel,
    picture_panel,
    residuals_panel,
    second_heat_panel,
    stability_panels,
    top_panel,
)
from qa_research.explain.images.result import Story, read_story
from qa_research.explain.images.words import (
    CAPTIONS,
    VERDICTS,
    blanking_summary,
    facts,
    headline,
    meaning,
    no_seeds,
)
from qa_research.figures.tokens import drawable, shortened

WIDTH = 17.0
INK, SOFT = "#1d2227", "#59626b"
_LINE = 0.215
_LEFT = 88
_LONGEST_TITLE = 68


def explanation_sheet(story: Story) -> Figure:
    """The verdict, the pictures, the coefficients, the controls and the counterfactual."""
    doubts = _doubts(story)
    table = facts(story)
    notes = [
        line for note in story.document["picture"]["notes"] for line in textwrap.wrap(note, 180)
    ]
    head = max(1.55 + _LINE * len(doubts), 0.3 + _LINE * len(table) + 0.2)
    rows = {"head": head, "pictures": 4.1, "segments": 3.9, "controls": 3.5}
    found = story.document["counterfactual"]
    if found is not None:
        rows["blanking"] = 4.1 + _LINE * len(_summary(found))
    rows["foot"] = 0.25 + 0.19 * (1 + len(notes))
    figure = Figure(figsize=(WIDTH, sum(rows.values())), layout="constrained", facecolor="white")
    figure.set_layout_engine("constrained", rect=(0.008, 0, 0.984, 1))
    made: Any = figure.subfigures(len(rows), 1, height_ratios=list(rows.values()))
    parts = dict(zip(rows, made, strict=True))
    _head(parts["head"], story, doubts, table, head)
    _pictures(parts["pictures"], story)
    _segments(parts["segments"], story)
    _controls(parts["controls"], story)
    if found is not None:
        _blanking(parts["blanking"], story, found, rows["blanking"])
    _foot(parts["foot"], story, notes)
    return figure


def _doubts(story: Story) -> list[str]:
    verdict = story.document["verdict"]
    said = verdict["doubts"] or [meaning(story)]
    return [
        line
        for doubt in said
        for line in textwrap.wrap(
            f"• {drawable(doubt)}" if verdict["doubts"] else doubt, _LEFT, subsequent_indent="   "
        )
    ]


def _head(
    part: SubFigure,
    story: Story,
    doubts: Sequence[str],
    table: Sequence[tuple[str, str]],
    height: float,
) -> None:
    def put(x: float, down: float, text: str, **style: Any) -> None:
        part.text(x, 1 - down / height, text, va="top", parse_math=False, **style)

    word = story.document["verdict"]["word"]
    name = shortened(drawable(story.document["picture"]["name"]), 28)
    title = shortened(f"{name}: {drawable(headline(story))}", _LONGEST_TITLE)
    size = 19 if len(title) <= 0.7 * _LONGEST_TITLE else 14
    put(0.012, 0.14, title, fontsize=size, weight="bold", color=INK)
    put(
        0.016,
        0.72,
        word.upper(),
        fontsize=24,
        weight="bold",
        color="white",
        bbox={"boxstyle": "round,pad=0.22", "facecolor": VERDICTS[word], "linewidth": 0},
    )
    put(0.012, 1.42, "\n".join(doubts), fontsize=10.5, color=INK, linespacing=1.4)
    for line, (label, value) in enumerate(table):
        down = 0.2 + _LINE * line
        put(0.675, down, drawable(label), fontsize=9.5, color=SOFT, ha="right")
        put(0.682, down, drawable(value), fontsize=9.5, color=INK)


def _pictures(part: SubFigure, story: Story) -> None:
    panels = part.subplots(1, 4)
    picture_panel(panels[0], story)
    numbers_panel(panels[1], story, 3.6)
    heat_panel(panels[2], story)
    top_panel(panels[3], story)


def _segments(part: SubFigure, story: Story) -> None:
    halves: Any = part.subfigures(1, 2, width_ratios=(1.25, 1))
    left, right = halves
    coefficients_panel(left.subplots(), story)
    if story.document["stability"] is None:
        axes = right.subplots()
        axes.axis("off")
        said = no_seeds(story.document["sampling"])
        axes.text(0.5, 0.5, said, ha="center", va="center", fontsize=11, color=SOFT)
        return
    above, below = right.subplots(2, 1, height_ratios=(1.4, 1))
    stability_panels((above, below), story)


def _controls(part: SubFigure, story: Story) -> None:
    with_curves = story.document["curves"] is not None
    panels = part.subplots(1, 4 if with_curves else 2)
    masks_panel(panels[0], story)
    residuals_panel(panels[1], story)
    if with_curves:
        curve_panels((panels[2], panels[3]), story)


def _summary(found: Any) -> list[str]:
    return [line for one in blanking_summary(found) for line in textwrap.wrap(drawable(one), 170)]


def _blanking(part: SubFigure, story: Story, found: Any, height: float) -> None:
    lines = _summary(found)
    share = (_LINE * len(lines) + 0.1) / height
    halves: Any = part.subfigures(2, 1, height_ratios=(share, 1 - share))
    words, below = halves
    words.text(
        0.012,
        1,
        "\n".join(lines),
        va="top",
        fontsize=11,
        color=INK,
        linespacing=1.35,
        parse_math=False,
    )
    again = found["explained_again"] is not None
    grid = below.add_gridspec(
        2, 4 if again else 3, width_ratios=(1, 1, 1.15, 1)[: 4 if again else 3]
    )
    blanked_panel(below.add_subplot(grid[:, 0]), story, found, 3.4)
    before, after = (below.add_subplot(grid[row, 1]) for row in (0, 1))
    class_panels((before, after), found)
    control_panel(below.add_subplot(grid[:, 2]), found)
    if again:
        second_heat_panel(below.add_subplot(grid[:, 3]), story, found)


def _foot(part: SubFigure, story: Story, notes: Sequence[str]) -> None:
    document = story.document
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    source = drawable(document["picture"]["source"])
    line = textwrap.shorten(f"{source}; {versions}", 200, placeholder=" …")
    part.text(
        0.012,
        0.9,
        "\n".join([*(drawable(note) for note in notes), line]),
        va="top",
        fontsize=8.5,
        color=SOFT,
        parse_math=False,
    )


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
