"""An attribution as one HTML file that needs nothing else, and as the three files that are kept of it."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.explain.words.charts import curves_chart, probability_chart
from qa_research.explain.words.figures import TITLES, words_over_steps
from qa_research.explain.words.result import (
    CURVES,
    NAMES,
    OUTPUTS,
    Attribution,
    AttributionOverSteps,
    ShownText,
    ShownWord,
    StepValues,
    Values,
    WordValues,
    signed,
)
from qa_research.explain.words.sheet import word_sheet
from qa_research.files import write_text, written_whole
from qa_research.pages.html import one_file
from qa_research.tasks.answering.token_text import pieces

# The sum first: it is what the page shows until another output is chosen.
SHOWN_OUTPUTS = ("span", "start", "end")
LEVELS = 8
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


def folder_name(question: str, what: str, parts: Sequence[str]) -> str:
    """A folder's name that tells what was asked, and that only the same `parts` lead to again."""
    words = re.sub(r"[^a-z0-9]+", "_", question.lower()).strip("_")[:40].rstrip("_")
    digest = hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:8]
    return "-".join(word for word in (words, what, digest) if word)


def write_attribution(result: Attribution | AttributionOverSteps, folder: Path) -> Files:
    """Write attribution.json, .html and .png of one answer, or of one watched question over its steps."""
    if isinstance(result, Attribution):
        page, figure = attribution_page(result), word_sheet(result)
    else:
        page, figure = steps_page(result), words_over_steps(result)
    files = Files(*(folder / f"attribution.{ending}" for ending in ("html", "png", "json")))
    result.save(files.numbers)
    write_text(files.page, page)
    with written_whole(files.picture, "wb") as file:
        figure.savefig(file, format="png", dpi=DPI)
    return files


def attribution_page(result: Attribution) -> str:
    """The page of one answer: the text once a method, switchable between span, start and end.

    It is readable without its script, which adds a line of numbers for the word that is pointed at.
    All text is escaped, and the browser is told to run only this page's own script.
    """
    texts = {
        (name, output): coloured_pieces(result.text, getattr(values, output))
        for name, values in result.methods.items()
        for output in OUTPUTS
    }
    charts = [
        (TITLES[kind].capitalize(), curves_chart(result.faithfulness, kind)) for kind in CURVES
    ]
    return _render("page.html.jinja", result, texts=texts, charts=charts, kinds=CURVES)


def steps_page(result: AttributionOverSteps) -> str:
    """The page of a watched question: a table words x steps for each method, coloured."""
    tables = {
        (name, output): heat_rows(result.text, getattr(values, output))
        for name, values in result.methods.items()
        for output in OUTPUTS
    }
    return _render("steps.html.jinja", result, tables=tables, chart=probability_chart(result))


def _render(template: str, result: Attribution | AttributionOverSteps, **more: Any) -> str:
    data = {
        "words": [word.text for word in result.text.words],
        "names": {name: NAMES[name] for name in result.methods},
        "steps": result.steps if isinstance(result, AttributionOverSteps) else None,
        "methods": {name: _by_output(values) for name, values in result.methods.items()},
    }
    values = {
        "result": result,
        "names": NAMES,
        "outputs": SHOWN_OUTPUTS,
        "signed": signed,
        "data": data,
        **more,
    }
    return one_file("qa_research.explain.words", template, "page.css", ("page.js",), values)


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
