"""Figures as a report's pictures: SVG that is the same for the same data, and follows light and dark."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from qa_research.pages.document import Picture, Text

# Text is text, so that it can be searched and read aloud; what the figures are drawn with.
FONT = "DejaVu Sans"
# Colour in the file -> colour on a dark page. Others are legible on both.
DARK = {
    "#000000": "#e8e6e1",
    "black": "#e8e6e1",
    "#1d2227": "#e8e6e1",
    "#333333": "#d5d2cb",
    "#444444": "#c4c0b8",
    "#555555": "#b5b1aa",
    "#777777": "#a2abb3",
    "#999999": "#8a9299",
    "#dddddd": "#343a40",
    "#0b6e99": "#58b6e0",
    "#d1495b": "#ff7b8a",
    "#3c7a3b": "#62c17a",
    "#6c4f8c": "#b79bf0",
    # Of runs.
    "#b85400": "#f0a04a",
    "#6c3fa8": "#b79bf0",
    "#2c7a3f": "#62c17a",
    "#a3195b": "#ff8fc0",
    "#59626b": "#a2abb3",
    # Early to late, which on a dark page is dim to bright.
    "#b9c6cf": "#4f6878",
    "#0b3c5d": "#a9dcf7",
    "#ffffff": "#1c2024",
    "white": "#1c2024",
}


def picture(
    name: str, figure: Figure, alt: str, caption: Text, data: Mapping[str, Sequence[Any]]
) -> Picture:
    """A figure as a picture; see `Picture` for the rest."""
    return Picture(name, svg_of(figure, name), alt, caption, data)


def svg_of(figure: Figure, name: str) -> str:
    """The figure as SVG; `name` makes the addresses in it its own."""
    file = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": FONT}
    with mpl.rc_context(settings):
        figure.savefig(
            file, format="svg", metadata={"Date": None, "Creator": None}, transparent=True
        )
    return _with_dark(file.getvalue().decode())


def _with_dark(svg: str) -> str:
    """The drawing with the colours of a dark page, for readers who prefer one."""
    rules = []
    for colour, dark in DARK.items():
        for paint in ("fill", "stroke"):
            if f"{paint}: {colour}" in svg:
                rules.append(f'[style*="{paint}: {colour}"]{{{paint}:{dark}!important}}')
    rules.append(f"text{{fill:{DARK['black']}}}")
    style = f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>"
    head, end, rest = svg.partition("<defs>")
    return f"{head}{style}{end}{rest}"
