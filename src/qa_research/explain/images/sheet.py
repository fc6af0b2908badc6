"""Draws an explanation into its folder: all of it on one sheet, a page, and each figure on its own."""

import textwrap
from collections.abc import Sequence
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
from qa_research.explain.images.result import Counterfactual, Explanation
from qa_research.explain.images.sentences import (
    CAPTIONS,
    VERDICT_COLOURS,
    badge,
    blanking_summary,
    facts,
    headline,
    meaning,
    no_seeds,
)
from qa_research.figures.panels import PlainFigure, drawable
from qa_research.figures.tokens import shortened
from qa_research.files import write_bytes, written_folder

SHEET_DPI = 110
FIGURE_DPI = 144
WIDTH = 17.0
INK, SOFT = "#1d2227", "#59626b"
# Inches of a line of text, and characters that fit into one.
LINE = 0.215
DOUBT_CHARACTERS, SUMMARY_CHARACTERS, NOTE_CHARACTERS = 88, 170, 180
LONGEST_TITLE = 68


@dataclass(frozen=True)
class Drawn:
    """Where the sheet, the page and the figures are."""

    sheet: Path
    page: Path
    figures: tuple[Path, ...]


def write_explanation(explanation: Explanation, folder: Path) -> Drawn:
    """Write an explanation and all that is drawn of it; after an exception `folder` is as before."""
    with written_folder(folder, replace=True) as new:
        explanation.save(new)
        names = _draw(Explanation.load(new), new)
    return _drawn(folder, names)


def draw_explanation(folder: Path) -> Drawn:
    """Draw the explanation that the folder holds; the same two files give the same bytes.

    Raises:
        FileNotFoundError, ValueError: as `Explanation.load`.
    """
    explanation = Explanation.load(folder)
    with written_folder(folder, replace=True) as new:
        names = _draw(explanation, new)
    return _drawn(folder, names)


def _draw(explanation: Explanation, folder: Path) -> list[str]:
    """Write the sheet, the page and the figures; the figures' names."""
    pictures = {name: png(figure, FIGURE_DPI) for name, figure in figures_of(explanation)}
    for name, content in pictures.items():
        write_bytes(folder / "figures" / f"{name}.png", content)
    write_bytes(folder / "sheet.png", png(explanation_sheet(explanation), SHEET_DPI))
    write_bytes(folder / "explanation.html", explanation_page(explanation, pictures).encode())
    return list(pictures)


def _drawn(folder: Path, names: Sequence[str]) -> Drawn:
    # A figure that another explanation left here would be taken for one of these.
    for name in CAPTIONS.keys() - set(names):
        (folder / "figures" / f"{name}.png").unlink(missing_ok=True)
    figures = tuple(folder / "figures" / f"{name}.png" for name in names)
    return Drawn(folder / "sheet.png", folder / "explanation.html", figures)


def png(figure: Figure, dpi: int) -> bytes:
    """A figure as the bytes of a PNG, without the name and version of what made it."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
    return content.getvalue()


def explanation_sheet(explanation: Explanation) -> Figure:
    """The verdict, the pictures, the coefficients, the controls and the counterfactual."""
    doubts = _doubts(explanation)
    table = facts(explanation)
    notes = _wrapped(explanation.picture.notes, NOTE_CHARACTERS)
    found = explanation.counterfactual
    summary = [] if found is None else _wrapped(blanking_summary(found), SUMMARY_CHARACTERS)
    # The height of each row of the sheet, in inches.
    head = max(1.55 + LINE * len(doubts), 0.3 + LINE * len(table) + 0.2)
    rows = {"head": head, "pictures": 4.1, "segments": 3.9, "controls": 3.5}
    if found is not None:
        rows["blanking"] = 4.1 + LINE * len(summary)
    rows["foot"] = 0.25 + 0.19 * (1 + len(notes))
    figure = PlainFigure(
        figsize=(WIDTH, sum(rows.values())), layout="constrained", facecolor="white"
    )
    figure.set_layout_engine("constrained", rect=(0.008, 0, 0.984, 1))
    made: Any = figure.subfigures(len(rows), 1, height_ratios=list(rows.values()))
    parts = dict(zip(rows, made, strict=True))
    _head(parts["head"], explanation, doubts, table, head)
    _pictures(parts["pictures"], explanation)
    _segments(parts["segments"], explanation)
    _controls(parts["controls"], explanation)
    if found is not None:
        _blanking(parts["blanking"], explanation, found, summary, rows["blanking"])
    _foot(parts["foot"], explanation, notes)
    return figure


def _wrapped(sentences: Sequence[str], characters: int) -> list[str]:
    return [line for one in sentences for line in textwrap.wrap(drawable(one), characters)]


def _doubts(explanation: Explanation) -> list[str]:
    """Lines of what the verdict means, and of the doubts as a list."""
    doubts = [f"• {drawable(doubt)}" for doubt in explanation.verdict.doubts]
    return [
        line
        for one in [meaning(explanation), *doubts]
        for line in textwrap.wrap(one, DOUBT_CHARACTERS, subsequent_indent="   ")
    ]


def _head(
    part: SubFigure,
    explanation: Explanation,
    doubts: Sequence[str],
    table: Sequence[tuple[str, str]],
    height: float,
) -> None:
    def put(x: float, down: float, text: str, **style: Any) -> None:
        part.text(x, 1 - down / height, text, va="top", parse_math=False, **style)

    word = explanation.verdict.word
    name = shortened(drawable(explanation.picture.name), 28)
    title = shortened(f"{name}: {drawable(headline(explanation))}", LONGEST_TITLE)
    size = 19 if len(title) <= 0.7 * LONGEST_TITLE else 14
    put(0.012, 0.14, title, fontsize=size, weight="bold", color=INK)
    put(
        0.016,
        0.72,
        badge(explanation).upper(),
        fontsize=24,
        weight="bold",
        color="white",
        bbox={"boxstyle": "round,pad=0.22", "facecolor": VERDICT_COLOURS[word], "linewidth": 0},
    )
    put(0.012, 1.42, "\n".join(doubts), fontsize=10.5, color=INK, linespacing=1.4)
    for line, (label, value) in enumerate(table):
        down = 0.2 + LINE * line
        put(0.675, down, drawable(label), fontsize=9.5, color=SOFT, ha="right")
        put(0.682, down, drawable(value), fontsize=9.5, color=INK)


def _pictures(part: SubFigure, explanation: Explanation) -> None:
    panels = part.subplots(1, 4)
    picture_panel(panels[0], explanation)
    numbers_panel(panels[1], explanation, 3.6)
    heat_panel(panels[2], explanation)
    top_panel(panels[3], explanation)


def _segments(part: SubFigure, explanation: Explanation) -> None:
    halves: Any = part.subfigures(1, 2, width_ratios=(1.25, 1))
    left, right = halves
    coefficients_panel(left.subplots(), explanation)
    if explanation.stability is not None:
        above, below = right.subplots(2, 1, height_ratios=(1.4, 1))
        stability_panels((above, below), explanation, explanation.stability)
        return
    axes = right.subplots()
    axes.axis("off")
    reason = no_seeds(explanation.sampling)
    axes.text(0.5, 0.5, reason, ha="center", va="center", fontsize=11, color=SOFT)


def _controls(part: SubFigure, explanation: Explanation) -> None:
    curves = explanation.curves
    panels = part.subplots(1, 2 if curves is None else 4)
    masks_panel(panels[0], explanation)
    residuals_panel(panels[1], explanation)
    if curves is not None:
        curve_panels((panels[2], panels[3]), curves)


def _blanking(
    part: SubFigure,
    explanation: Explanation,
    found: Counterfactual,
    summary: Sequence[str],
    height: float,
) -> None:
    share = (LINE * len(summary) + 0.1) / height
    halves: Any = part.subfigures(2, 1, height_ratios=(share, 1 - share))
    words, below = halves
    words.text(
        0.012,
        1,
        "\n".join(summary),
        va="top",
        fontsize=11,
        color=INK,
        linespacing=1.35,
        parse_math=False,
    )
    again = found.explained_again
    widths = (1, 1, 1.15) if again is None else (1, 1, 1.15, 1)
    grid = below.add_gridspec(2, len(widths), width_ratios=widths)
    blanked_panel(below.add_subplot(grid[:, 0]), explanation, found, 3.4)
    before, after = (below.add_subplot(grid[row, 1]) for row in (0, 1))
    class_panels((before, after), found)
    control_panel(below.add_subplot(grid[:, 2]), found)
    if again is not None:
        second_heat_panel(below.add_subplot(grid[:, 3]), explanation, found, again)


def _foot(part: SubFigure, explanation: Explanation, notes: Sequence[str]) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in explanation.versions.items())
    source = drawable(explanation.picture.source)
    line = textwrap.shorten(f"{source}; {versions}", 200, placeholder=" …")
    part.text(
        0.012,
        0.9,
        "\n".join([*notes, line]),
        va="top",
        fontsize=8.5,
        color=SOFT,
        parse_math=False,
    )
