"""An attribution as one HTML file that needs nothing else, and as the three files that are kept of it.

The charts are matplotlib's, as SVG inside the page: without ids, styles or links, in the page's colours.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from qa_research.explain.words.figures import (
    ALONG,
    GRID,
    RANDOM,
    STYLES,
    TITLES,
    draw_curves,
    draw_probability,
    words_over_steps,
)
from qa_research.explain.words.result import (
    CURVES,
    NAMES,
    Attribution,
    AttributionOverSteps,
    Faithfulness,
    ShownText,
    ShownWord,
    StepValues,
    Values,
    WordValues,
    signed,
)
from qa_research.explain.words.sheet import word_sheet
from qa_research.figures.panels import PlainFigure
from qa_research.figures.saving import save_figure
from qa_research.figures.tokens import TRUE
from qa_research.files import write_text, written_folder
from qa_research.pages.html import one_file
from qa_research.tasks.answering.windows import pieces

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


def curves_chart(found: Faithfulness, kind: str, about: str = "Probability") -> Markup:
    """One of CURVES, of all methods, over the band of random orders; `about`: what is lost."""
    figure = PlainFigure(figsize=SIZE, layout="constrained")
    draw_curves(figure.subplots(), found, kind)
    return inline_svg(figure, f"{about} lost, by {ALONG[kind]}", PAGE_COLOURS)


def probability_chart(result: AttributionOverSteps) -> Markup:
    """The probability of what is true, or the prediction, over the training."""
    figure = PlainFigure(figsize=SIZE, layout="constrained")
    panel = figure.subplots()
    draw_probability(panel, result)
    panel.set_xlabel("optimizer step")
    return inline_svg(figure, f"{result.measured.capitalize()} over the training", PAGE_COLOURS)


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


# The sum first: it is what the page shows until another output is chosen.
SHOWN_OUTPUTS = ("span", "start", "end")
LEVELS = 8


@dataclass(frozen=True)
class Files:
    """What was written."""

    page: Path
    picture: Path
    numbers: Path

    @classmethod
    def of(cls, folder: Path, picture_format: str) -> Self:
        """The files in a folder."""
        endings = ("html", picture_format, "json")
        return cls(*(folder / f"attribution.{ending}" for ending in endings))

    def as_json(self) -> dict[str, str]:
        """By kind, as text."""
        return {"page": str(self.page), "picture": str(self.picture), "json": str(self.numbers)}


def folder_name(question: str, what: str, parts: Sequence[str]) -> str:
    """A folder's name that tells what was asked, and that only the same `parts` lead to again."""
    words = re.sub(r"[^a-z0-9]+", "_", question.lower()).strip("_")[:40].rstrip("_")
    digest = hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:8]
    return "-".join(word for word in (words, what, digest) if word)


def write_attribution(
    result: Attribution | AttributionOverSteps, folder: Path, picture_format: str = "png"
) -> Files:
    """Write attribution.json, .html and a picture of an answer, or of a watched question over its steps.

    `picture_format`: png, svg or pdf. All three or none; other files in `folder` stay.
    """
    if isinstance(result, Attribution):
        page, figure = attribution_page(result), word_sheet(result)
    else:
        page, figure = steps_page(result), words_over_steps(result)
    with written_folder(folder, replace=True) as new:
        files = Files.of(new, picture_format)
        result.save(files.numbers)
        write_text(files.page, page)
        save_figure(figure, files.picture)
    return Files.of(folder, picture_format)


def attribution_page(result: Attribution) -> str:
    """The page of one answer: the text once a method, switchable between span, start and end.

    It is readable without its script, which adds a line of numbers for the word that is pointed at.
    All text is escaped, and the browser is told to run only this page's own script.
    """
    texts = {
        (name, output): coloured_pieces(result.text, getattr(values, output))
        for name, values in result.methods.items()
        for output in result.text.outputs
    }
    about = "Prediction" if result.text.says == "prediction" else "Probability"
    charts = [
        (TITLES[kind].capitalize(), curves_chart(result.faithfulness, kind, about))
        for kind in CURVES
    ]
    return _render("page.html.jinja", result, texts=texts, charts=charts, kinds=CURVES)


def steps_page(result: AttributionOverSteps) -> str:
    """The page of a watched example: a table words x steps for each method, coloured."""
    tables = {
        (name, output): heat_rows(result.text, getattr(values, output))
        for name, values in result.methods.items()
        for output in result.text.outputs
    }
    return _render("steps.html.jinja", result, tables=tables, chart=probability_chart(result))


def _render(template: str, result: Attribution | AttributionOverSteps, **more: Any) -> str:
    data = {
        "words": [word.text for word in result.text.words],
        "names": {name: NAMES[name] for name in result.methods},
        "steps": result.steps if isinstance(result, AttributionOverSteps) else None,
        "outputs": [name for name in SHOWN_OUTPUTS if name in result.text.outputs],
        "methods": {name: _by_output(values) for name, values in result.methods.items()},
    }
    values = {
        "result": result,
        "names": NAMES,
        "outputs": data["outputs"],
        "signed": signed,
        "data": data,
        **more,
    }
    return one_file(
        "qa_research.explain.words", template, "page.css", ("page.js",), values, kit=("kit.css",)
    )


def _by_output(values: WordValues | StepValues) -> dict[str, Any]:
    return {output: getattr(values, output) for output in SHOWN_OUTPUTS}


@dataclass(frozen=True)
class Piece:
    """Some text: that of word number `word`, or what is between words or around them (None).

    `level` is a class of the page's style: `p1` to `p8` supports, `n1` to `n8` opposes, `zero`, or
    `fixed` for a word that is always on. `is_outside`: not in the window.
    """

    text: str
    word: int | None
    level: str = ""
    in_span: bool = False
    tip: str = ""
    is_outside: bool = False


def coloured_pieces(text: ShownText, values: Values) -> dict[str, list[Piece]]:
    """Question and context in pieces, which joined are each text exactly.

    "Who leads judo?" is the pieces Who, a blank, leads, a blank, judo and the question mark.
    """
    most = _strongest(values)
    order = sorted((value for value in values if value is not None), reverse=True)
    found: dict[str, list[Piece]] = {}
    for part, source in (("question", text.question), ("context", text.context)):
        numbers = [number for number, word in enumerate(text.words) if word.part == part]
        words = [text.words[number] for number in numbers]
        found[part] = []
        reached = 0
        for shown, i in pieces(source, [(word.char_start, word.char_end) for word in words]):
            start, reached = reached, reached + len(shown)
            if i is None:
                is_before = reached <= text.window.char_start
                is_outside = is_before or start >= text.window.char_end
                found[part].append(Piece(shown, None, is_outside=is_outside and part == "context"))
                continue
            value = values[numbers[i]]
            tip = "always on" if value is None else _tip(value, order)
            level = level_of(value, most)
            found[part].append(Piece(shown, numbers[i], level, words[i].in_span, tip))
    return found


def heat_rows(text: ShownText, values: Sequence[Values]) -> list[tuple[ShownWord, tuple[str, ...]]]:
    """Each word with its levels at all steps, from [step][word]; one scale for all steps."""
    most = max(_strongest(row) for row in values)
    columns = zip(*values, strict=True)
    levels = (tuple(level_of(value, most) for value in column) for column in columns)
    return list(zip(text.words, levels, strict=True))


def level_of(value: float | None, most: float) -> str:
    """The class of a value whose scale ends at `most`, which is level 8.

    With `most` 2.0 a level is 0.25 wide: 1.0 is p4, -2.0 is n8, and 0.1, nearer to 0 than to 0.25, is zero.
    """
    if value is None:
        return "fixed"
    level = math.ceil(LEVELS * abs(value) / most - 0.5) if most else 0
    return f"{'p' if value > 0 else 'n'}{level}" if level else "zero"


def _tip(value: float, order: Sequence[float]) -> str:
    return f"{signed(value)} logits, rank {order.index(value) + 1} of {len(order)}"


def _strongest(values: Values) -> float:
    return max((abs(value) for value in values if value is not None), default=0.0)
