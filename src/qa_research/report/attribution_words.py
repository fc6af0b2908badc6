"""The words of an attribution.json as a page shows them: pieces of text, and the strength of their colour."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
