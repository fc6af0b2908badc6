"""Charts that matplotlib draws, as SVG inside a page: without ids, styles or links, in the page's colours."""

from collections.abc import Mapping
from io import BytesIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from qa_research.explain.words.figures import (
    ALONG,
    GRID,
    RANDOM,
    STYLES,
    draw_curves,
    draw_probability,
)
from qa_research.explain.words.result import AttributionOverSteps, Faithfulness
from qa_research.figures.panels import label_captures
from qa_research.figures.tokens import TRUE

SIZE = (5.2, 2.7)
# What matplotlib draws in these colours is drawn in the page's, which has others in the dark.
PAGE_COLOURS = {
    "#000000": "currentColor",
    GRID: "var(--grid)",
    RANDOM: "var(--random)",
    TRUE: "var(--true)",
    **{colour: f"var(--{name})" for name, (colour, _, _) in STYLES.items()},
}
SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


def curves_chart(found: Faithfulness, kind: str) -> Markup:
    """One of CURVES, of all methods, over the band of random orders."""
    figure = Figure(figsize=SIZE, layout="constrained")
    draw_curves(figure.subplots(), found, kind)
    return inline_svg(figure, f"Probability lost, by {ALONG[kind]}", PAGE_COLOURS)


def probability_chart(result: AttributionOverSteps) -> Markup:
    """The true span's probability over the training."""
    figure = Figure(figsize=SIZE, layout="constrained")
    panel = figure.subplots()
    draw_probability(panel, result)
    label_captures(panel.xaxis, np.array(result.steps))
    panel.set_xlabel("optimizer step")
    return inline_svg(figure, "Probability of the true span over the training", PAGE_COLOURS)


def inline_svg(figure: Figure, about: str, colours: Mapping[str, str]) -> Markup:
    """The figure as an <svg> element described by `about`, its colours replaced; equal for equal figures.

    The page's Content-Security-Policy forbids style attributes, and ids would clash between charts: styles
    become attributes, and what is referred to by an id stands where it is used. Text stays text, in the
    page's own font. Nothing is clipped, so the data must be within the axes' limits.
    """
    for artist in figure.findobj():
        artist.set_clip_on(False)
    file = BytesIO()
    # A date or a random salt would make every page different.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "chart"}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    root = ElementTree.fromstring(file.getvalue())
    shapes = {f"#{element.get('id')}": element for element in root.iter(f"{SVG}path")}
    svg = Element("svg", {"viewBox": root.get("viewBox", ""), "role": "img", "aria-label": about})
    # What matplotlib's own style sheet says of everything it draws.
    svg.set("stroke-linejoin", "round")
    svg.extend(_inlined(child, shapes, colours) for child in root if child.tag == f"{SVG}g")
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def _inlined(
    element: Element, shapes: Mapping[str, Element], colours: Mapping[str, str]
) -> Element:
    """An element without id, style and link.

    <use xlink:href="#m1" x="3" y="4" style="fill: #000000"/> of <path id="m1" d="M 0 0 L 0 3"/> becomes
    <path d="M 0 0 L 0 3" transform="translate(3 4)" fill="currentColor"/>.
    """
    found = Element(element.tag.removeprefix(SVG))
    for name in ("x", "y", "transform"):
        if value := element.get(name):
            found.set(name, value)
    shape = element
    if element.tag == f"{SVG}use":
        shape = shapes[element.get(LINK, "")]
        place = f"translate({element.get('x')} {element.get('y')})"
        found = Element("path", {"transform": place})
    if outline := shape.get("d"):
        found.set("d", " ".join(outline.split()))
    for name, value in (_declarations(shape) | _declarations(element)).items():
        found.set(name, colours.get(value, value))
    if element.text and element.text.strip():
        found.text = element.text
    inner = (child for child in element if child.tag != f"{SVG}defs")
    found.extend(_inlined(child, shapes, colours) for child in inner)
    return found


def _declarations(element: Element) -> dict[str, str]:
    """What a style attribute declares, except the font: that is the page's."""
    pairs = (part.partition(":") for part in element.get("style", "").split(";") if part.strip())
    styles = {name.strip(): value.strip() for name, _, value in pairs}
    styles.pop("font-family", None)
    return styles
