"""The words of an attribution.json as a page shows them: pieces of text, and the strength of their colour.

The curves of an attribution as points of an SVG, for a page that draws without a script.

An attribution as one HTML file that needs nothing beside it: no network, no other file.

Where an attribution is kept: attribution.json, and the page and the picture made from it.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.explain.words.figures import caption, said, sheet_of, steps_figure
from qa_research.explain.words.result import NAMES
from qa_research.pages.html import one_file

LEVELS = 8


@dataclass(frozen=True)
class Piece:
    """Some text: of word number `word`, or between and beside words (None).

    `level` is a class of the page's style: `p1` to `p8` supports, `n1` to `n8` opposes, `zero`, or
    `fixed` for a word that is always on. `is_outside`: not in the window.
    """

    text: str
    word: int | None
    level: str = ""
    in_span: bool = False
    tip: str = ""
    is_outside: bool = False


@dataclass(frozen=True)
class Row:
    """A word of a table words x steps: a level each step."""

    word: int
    text: str
    part: str
    in_span: bool
    levels: tuple[str, ...]


@dataclass(frozen=True)
class TopWord:
    """A word of a method's ranking, its value, and its 95 % interval where the method has one."""

    text: str
    part: str
    in_span: bool
    value: float
    low: float | None
    high: float | None


def coloured_pieces(
    document: Mapping[str, Any], values: Sequence[float | None]
) -> dict[str, list[Piece]]:
    """Question and context in pieces whose texts joined are the whole of each."""
    most = _most(values)
    order = sorted((v for v in values if v is not None), reverse=True)
    pieces: dict[str, list[Piece]] = {"question": [], "context": []}
    reached = {"question": 0, "context": 0}
    inside = document["window"]["char_start"], document["window"]["char_end"]
    for place, (word, value) in enumerate(zip(document["words"], values, strict=True)):
        part, start = word["part"], max(word["char_start"], reached[word["part"]])
        if start > reached[part]:
            between = document[part][reached[part] : start]
            is_outside = part == "context" and start <= inside[0]
            pieces[part].append(Piece(between, None, is_outside=is_outside))
        tip = "always on" if value is None else _tip(value, order)
        text = document[part][start : word["char_end"]]
        pieces[part].append(Piece(text, place, level_of(value, most), word["in_span"], tip))
        reached[part] = max(reached[part], word["char_end"])
    for part, end in reached.items():
        if rest := document[part][end:]:
            pieces[part].append(Piece(rest, None, is_outside=part == "context"))
    return pieces


def heat_rows(document: Mapping[str, Any], values: Sequence[Sequence[float | None]]) -> list[Row]:
    """A row a word from [step][word]; one scale for all steps."""
    most = max(_most(row) for row in values)
    return [
        Row(
            place,
            word["text"],
            word["part"],
            word["in_span"],
            tuple(level_of(row[place], most) for row in values),
        )
        for place, word in enumerate(document["words"])
    ]


def top_words(document: Mapping[str, Any], method: str) -> list[TopWord]:
    """The words that support the span most by one method, the strongest first; as many as were asked for."""
    found = document["methods"][method]
    values = found["span"]
    places = [place for place, value in enumerate(values) if value is not None]
    best = sorted(places, key=lambda place: (-values[place], place))[: document["top"]]
    switched = {place: unit for unit, place in enumerate(places)}
    shown = []
    for place in best:
        word, unit = document["words"][place], switched[place]
        low, high = (found[end][unit] if end in found else None for end in ("low", "high"))
        shown.append(TopWord(word["text"], word["part"], word["in_span"], values[place], low, high))
    return shown


def level_of(value: float | None, most: float) -> str:
    """The class of a value whose scale ends at `most`."""
    if value is None:
        return "fixed"
    level = math.ceil(LEVELS * abs(value) / most - 0.5) if most else 0
    return f"{'p' if value > 0 else 'n'}{level}" if level else "zero"


def number(value: float | None, digits: int = 2) -> str:
    """A number with a real minus sign; a dash for none."""
    if value is None:
        return "–"
    return f"{value:+.{digits}f}".replace("-", "−")


def _tip(value: float, order: Sequence[float]) -> str:
    return f"{number(value)} logits, rank {order.index(value) + 1} of {len(order)}"


def _most(values: Sequence[float | None]) -> float:
    return max((abs(value) for value in values if value is not None), default=0.0)


WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 40


@dataclass(frozen=True)
class Line:
    """A polyline, what it shows, and the class that gives it its colour; `marks` are its points."""

    name: str
    style: str
    points: str
    marks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Tick:
    """A label at a place along an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart in a box of WIDTH x HEIGHT; `band`: the outline of an area, "" for none."""

    title: str
    about: str
    lines: tuple[Line, ...]
    band: str
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    x_title: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def charts_of(faithful: Mapping[str, Any]) -> list[Chart]:
    """Comprehensiveness and sufficiency of all methods, over the band of random orders."""
    ends = []
    for kind in ("comprehensiveness", "sufficiency"):
        ends += [found[kind]["curve"] for found in faithful["methods"].values()]
        ends += [faithful["random"][kind][name] for name in ("low", "high")]
    low = min(0.0, *(min(curve) for curve in ends))
    high = max(0.1, *(max(curve) for curve in ends))
    counts = faithful["counts"]
    told = (
        ("comprehensiveness", "Comprehensiveness: high is good", "first words switched off"),
        ("sufficiency", "Sufficiency: low is good", "first words kept, all others off"),
    )
    charts = []
    for kind, title, x_title in told:
        random = faithful["random"][kind]
        lines = [_line("random, mean", "random", random["mean"], low, high)]
        lines += [
            _line(NAMES[name], name, found[kind]["curve"], low, high)
            for name, found in faithful["methods"].items()
        ]
        band = [*_points(random["high"], low, high), *reversed(_points(random["low"], low, high))]
        charts.append(
            Chart(
                title=title,
                about=f"Probability lost, by {x_title}",
                lines=tuple(lines),
                band=_joined(band),
                x=_x_ticks([str(count) for count in counts]),
                y=_y_ticks(low, high),
                x_title=x_title,
            )
        )
    return charts


def chart_of_curve(steps: Sequence[int], probability: Sequence[float]) -> Chart:
    """The true span's probability, a place a step in equal distances."""
    return Chart(
        title="Probability of the true span",
        about="Probability of the true span over the training",
        lines=(_line("probability", "probability", probability, 0.0, 1.0),),
        band="",
        x=_x_ticks([str(step) for step in steps]),
        y=_y_ticks(0.0, 1.0),
        x_title="optimizer step",
    )


def _line(name: str, style: str, curve: Sequence[float], low: float, high: float) -> Line:
    points = _points(curve, low, high)
    return Line(name, style, _joined(points), tuple(points))


def _points(curve: Sequence[float], low: float, high: float) -> list[tuple[float, float]]:
    return [
        (round(_x(place, len(curve)), 1), round(_y(value, low, high), 1))
        for place, value in enumerate(curve)
    ]


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _x(place: int, n: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (place / (n - 1) if n > 1 else 0.5)


def _y(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)


def _x_ticks(texts: Sequence[str]) -> tuple[Tick, ...]:
    every = -(-len(texts) // 14)
    return tuple(
        Tick(round(_x(place, len(texts)), 1), text)
        for place, text in enumerate(texts)
        if place % every == 0
    )


def _y_ticks(low: float, high: float) -> tuple[Tick, ...]:
    every = 0.25 if high - low > 0.5 else 0.1 if high - low > 0.2 else 0.05
    values = [
        round(tick * every, 2)
        for tick in range(-20, 21)
        if low - 0.02 <= tick * every <= high + 0.02
    ]
    return tuple(Tick(round(_y(value, low, high), 1), f"{value:g}") for value in values)


OUTPUTS = ("span", "start", "end")


def attribution_page(document: Mapping[str, Any]) -> str:
    """The page of an attribution.json: the text once a method, switchable between span, start and end.

    It is readable without its script, which adds a line of numbers for the word that is pointed at.
    All text is escaped, and the browser is told to run this page's own script alone.
    """
    texts = {
        (name, output): coloured_pieces(document, found[output])
        for name, found in document["methods"].items()
        for output in OUTPUTS
    }
    return _render(
        "page.html.jinja",
        document,
        texts=texts,
        captions={name: caption(name, found) for name, found in document["methods"].items()},
        charts=charts_of(document["faithfulness"]),
        tops={name: top_words(document, name) for name in document["methods"]},
    )


def steps_page(document: Mapping[str, Any]) -> str:
    """The page of a watched question's attributions: a table words x steps for each method, coloured."""
    tables = {
        (name, output): heat_rows(document, found[output])
        for name, found in document["methods"].items()
        for output in OUTPUTS
    }
    return _render(
        "steps.html.jinja",
        document,
        tables=tables,
        chart=chart_of_curve(document["steps"], document["probability"]),
    )


def _render(template: str, document: Mapping[str, Any], **beside: Any) -> str:
    data = {
        "words": [word["text"] for word in document["words"]],
        "names": {name: NAMES[name] for name in document["methods"]},
        "steps": document.get("steps"),
        "methods": {
            name: {output: found[output] for output in OUTPUTS}
            for name, found in document["methods"].items()
        },
    }
    values = {
        "document": document,
        "names": NAMES,
        "outputs": OUTPUTS,
        "said": said(document),
        "number": number,
        "data": data,
        **beside,
    }
    return one_file("qa_research.explain.words", template, "page.css", ("page.js",), values)


DPI = 130


@dataclass(frozen=True)
class Files:
    """What was written."""

    page: Path
    picture: Path
    numbers: Path

    def as_json(self) -> dict[str, str]:
        """By kind, as text."""
        return {"page": str(self.page), "picture": str(self.picture), "json": str(self.numbers)}


def folder_name(asked: str, what: str, parts: Sequence[str]) -> str:
    """A folder's name that tells what was asked, and that only the same `parts` give again."""
    words = re.sub(r"[^a-z0-9]+", "_", asked.lower()).strip("_")[:40].rstrip("_")
    digest = hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:8]
    return "-".join(word for word in (words, what, digest) if word)


def write_attribution(document: Mapping[str, Any], folder: Path) -> Files:
    """Write attribution.json, .html and .png of one answer, or of one watched question over its steps."""
    over_steps = "steps" in document
    files = Files(*(folder / f"attribution.{ending}" for ending in ("html", "png", "json")))
    page = steps_page(document) if over_steps else attribution_page(document)
    figure = steps_figure(document) if over_steps else sheet_of(document)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    files.numbers.write_text(text + "\n", encoding="utf-8")
    files.page.write_text(page, encoding="utf-8")
    figure.savefig(files.picture, dpi=DPI)
    return files
