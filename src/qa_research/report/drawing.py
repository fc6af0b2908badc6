"""A diagram of numbered boxes as an SVG: text is text, and the colours follow a dark screen."""

from collections.abc import Iterator, Sequence
from html import escape
from math import hypot

from qa_research.figures.panels import drawable
from qa_research.report.diagram import HEIGHT, Box, Diagram, Point, Row, lines_of
from qa_research.report.pictures import FONT

# Of the names of layers, right of their rows: the width of a character. Around a row: the room.
CHARACTER, FRAME = 7, 5
ARROW = 6.0
# Kind -> fill and stroke on paper and on light screens, on dark ones.
COLOURS = {
    "module": ("#e3f0f6", "#0b6e99", "#17323f", "#58b6e0"),
    "function": ("#f4f4f2", "#777777", "#2a2f34", "#a2abb3"),
    "tensor": ("#fdf3dc", "#9a6a00", "#3a301b", "#f0b95a"),
}
INK, SOFT, LINE, PAPER = "#1d2227", "#59626b", "#777777", "#f6f5f1"
_DARK = (
    "text{fill:#e8e6e1}.soft{fill:#a2abb3}.line{stroke:#a2abb3}.tip{fill:#a2abb3}"
    ".layer{fill:#1c2024;stroke:#343a40}"
) + "".join(
    f".{kind}{{fill:{fill};stroke:{stroke}}}" for kind, (*_, fill, stroke) in COLOURS.items()
)


def drawn(diagram: Diagram) -> str:
    """The SVG of a diagram: frames of layers, arrows, boxes with their numbers and names."""
    names = max((len(row.name or "") for row in diagram.rows), default=0)
    width = diagram.width + CHARACTER * names + 2 * FRAME
    parts = [
        *(part for row in diagram.rows if row.name is not None for part in _frame(diagram, row)),
        *(part for line in diagram.lines for part in _arrow(line)),
        *(part for box in diagram.boxes.values() for part in _box(box)),
    ]
    size = f'width="{width:.0f}pt" height="{diagram.height:.0f}pt"'
    view = f'viewBox="0 0 {width:.0f} {diagram.height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" version="1.1" {size} {view}>\n'
        f"<style>@media (prefers-color-scheme: dark){{{_DARK}}}</style>\n"
        f'<g font-family="{FONT}, sans-serif" text-anchor="middle">\n'
        + "\n".join(parts)
        + "\n</g>\n</svg>\n"
    )


def _box(box: Box) -> Iterator[str]:
    fill, stroke, *_ = COLOURS[box.node.kind]
    corner = 10 if box.node.kind == "tensor" else 3
    yield (
        f'<rect class="{box.node.kind}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{HEIGHT}" rx="{corner}" fill="{fill}" stroke="{stroke}"/>'
    )
    middle, lines = box.x + box.width / 2, lines_of(box.node.name)
    yield _text(
        str(box.node.number), middle, box.y + (15 if len(lines) == 1 else 12), 12, bold=True
    )
    for place, line in enumerate(lines):
        y = box.y + (28 if len(lines) == 1 else 22 + 10 * place)
        yield _text(line, middle, y, 10 if len(lines) == 1 else 9)


def _frame(diagram: Diagram, row: Row) -> Iterator[str]:
    boxes = [diagram.boxes[node.number] for node in row.nodes]
    left, top = min(box.x for box in boxes) - FRAME, min(box.y for box in boxes) - FRAME
    right = max(box.x + box.width for box in boxes) + FRAME
    yield (
        f'<rect class="layer" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{HEIGHT + 2 * FRAME}" rx="6" fill="{PAPER}" stroke="#dfdcd4"/>'
    )
    # A layer's output may stand beside its frame.
    right = max(b.x + b.width + FRAME for b in diagram.boxes.values() if abs(b.y - boxes[0].y) < 1)
    y = top + FRAME + HEIGHT / 2 + 4
    yield _text(row.name or "", right + FRAME, y, 11, soft=True, anchor="start")


def _arrow(points: Sequence[Point]) -> Iterator[str]:
    """A curve that ends in a tip: its length is taken off the curve's end, along its last direction."""
    *rest, (x, y) = points
    away = next((p for p in reversed(rest) if hypot(x - p[0], y - p[1]) > 0.01), (x, y - 1))
    length = hypot(x - away[0], y - away[1])
    dx, dy = ARROW * (x - away[0]) / length, ARROW * (y - away[1]) / length
    ends = [*rest, (x - dx, y - dy)]
    start, curve = ends[0], " ".join(f"{a:.1f},{b:.1f}" for a, b in ends[1:])
    yield (
        f'<path class="line" d="M{start[0]:.1f},{start[1]:.1f}C{curve}" fill="none" stroke="{LINE}"/>'
    )
    corners = [(x, y), (x - dx - dy / 2, y - dy + dx / 2), (x - dx + dy / 2, y - dy - dx / 2)]
    tip = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    yield f'<polygon class="tip" points="{tip}" fill="{LINE}"/>'


def _text(
    text: str,
    x: float,
    y: float,
    size: int,
    bold: bool = False,
    soft: bool = False,
    anchor: str = "",
) -> str:
    extra = (' font-weight="bold"' if bold else "") + (' class="soft"' if soft else "")
    extra += f' text-anchor="{anchor}"' if anchor else ""
    colour = SOFT if soft else INK
    shown = escape(drawable(text), quote=False)
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{extra}>{shown}</text>'
