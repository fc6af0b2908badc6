"""One answer on one picture: its text coloured by each method, the faithfulness curves, and the warnings."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from qa_research.explain.words.figures import SIGNED, TITLES, coloured_text, draw_curves, n_lines
from qa_research.explain.words.result import CURVES, Attribution, ShownText
from qa_research.figures.panels import PlainFigure, drawable

N_COLUMNS = 112
# Inches of a character of the words, and of a line of them, of the head and of the notes.
CHARACTER = 0.0753
WORD_LINE, HEAD_LINE, NOTE_LINE = 0.2, 0.21, 0.18
SIDE = 0.5

# left, bottom, width, height as shares of the figure.
Area = tuple[float, float, float, float]


def word_sheet(result: Attribution) -> Figure:
    """The text once a method, a scale of the colours, the two curves, and the warnings.

    Raises:
        ValueError: no words.
    """
    if not result.text.words:
        raise ValueError("there are no words to show")
    head = [
        *textwrap.wrap(drawable(result.text.title), 96, max_lines=2, placeholder=" …"),
        *textwrap.wrap(drawable(result.quantity), 130),
    ]
    notes = [line for note in result.warnings for line in textwrap.wrap(drawable(note), 130)]
    heights = _heights(result, len(head), len(notes))
    figure = PlainFigure(figsize=(CHARACTER * N_COLUMNS + 2 * SIDE, sum(heights.values())))
    areas = _areas(figure, heights)
    _draw_head(figure.add_axes(areas["head"]), head)
    for name, method in result.methods.items():
        caption = figure.add_axes(areas[f"{name} title"])
        caption.axis("off")
        caption.text(0, 0.2, method.caption, fontsize=9.5, weight="bold", parse_math=False)
        coloured_text(figure.add_axes(areas[name]), result.text, method.span, N_COLUMNS)
    _draw_scale(figure, areas["scale"], result.text)
    _draw_curves(figure, areas["curves"], result)
    below = figure.add_axes(areas["notes"])
    below.axis("off")
    below.text(0, 1, "\n".join(notes), fontsize=8.5, va="top", color="#444444", parse_math=False)
    return figure


def _heights(result: Attribution, n_head: int, n_notes: int) -> dict[str, float]:
    """What is on the sheet from top to bottom, in inches."""
    heights = {"head": HEAD_LINE * n_head + 0.1}
    for name in result.methods:
        heights[f"{name} title"] = 0.34
        heights[name] = WORD_LINE * n_lines(result.text, N_COLUMNS)
    return heights | {
        "space": 0.14,
        "scale": 0.12,
        "gap": 0.9,
        "curves": 2.5,
        "axis labels": 0.62,
        "notes": NOTE_LINE * n_notes + 0.05,
    }


def _areas(figure: Figure, heights: Mapping[str, float]) -> dict[str, Area]:
    """Strips of the figure's full width without its sides, each below the one before it.

    Heights of 1 and 3 inches in a figure of 4: the strips start at 0.75 and 0 of its height.
    """
    width, total = figure.get_size_inches()
    areas: dict[str, Area] = {}
    top = total
    for name, height in heights.items():
        top -= height
        areas[name] = (SIDE / width, top / total, 1 - 2 * SIDE / width, height / total)
    return areas


def _draw_head(axes: Axes, lines: Sequence[str]) -> None:
    axes.axis("off")
    for number, line in enumerate(lines):
        axes.text(
            0,
            1 - (number + 0.8) / (len(lines) + 0.4),
            line,
            fontsize=9 if number else 12,
            weight="normal" if number else "bold",
            parse_math=False,
        )


def _draw_scale(figure: Figure, area: Area, text: ShownText) -> None:
    framed = "; the span is framed" if text.is_answer else f"; framed: {text.framed}"
    if not any(word.in_span for word in text.words) and not text.is_answer:
        framed = ""
    left, bottom, width, height = area
    axes = figure.add_axes((left, bottom, 0.3 * width, height))
    bar = figure.colorbar(
        ScalarMappable(Normalize(-1, 1), SIGNED), cax=axes, orientation="horizontal"
    )
    bar.set_ticks([-1, 0, 1], labels=["opposes", "0", "supports"], fontsize=8)
    bar.ax.tick_params(length=2)
    axes.text(
        1.15,
        0.5,
        f"relative to the strongest {text.unit} of each method{framed}",
        transform=axes.transAxes,
        fontsize=8,
        va="center",
    )


def _draw_curves(figure: Figure, area: Area, result: Attribution) -> None:
    """Both curves next to each other, and one legend above them."""
    left, bottom, width, height = area
    panels = (
        figure.add_axes((left + 0.04, bottom, 0.44 * width, height)),
        figure.add_axes((left + 0.54 * width, bottom, 0.46 * width, height)),
    )
    for panel, kind in zip(panels, CURVES, strict=True):
        draw_curves(panel, result.faithfulness, kind)
        panel.set_title(TITLES[kind], fontsize=9.5, loc="left")
    is_number = result.text.says == "prediction"
    panels[0].set_ylabel("prediction lost" if is_number else "probability lost")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        ncols=len(names),
        frameon=False,
        fontsize=8.5,
        loc="lower right",
        bbox_to_anchor=(left + width, bottom + height + 0.24 / figure.get_figheight()),
    )
