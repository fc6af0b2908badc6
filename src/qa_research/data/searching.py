"""Where a text stands in a question, its context and its answers, whatever the case. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from qa_research.data.question import Question

PLACES = ("question", "context", "answer")


@dataclass(frozen=True, slots=True)
class Found:
    """A text in which the wanted one stands: which place it is, and the characters of each match."""

    place: str
    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A question in which the wanted text stands at least once, and where (in the order of PLACES)."""

    index: int
    row: Question
    found: tuple[Found, ...]


def fold(text: str) -> str:
    """The text as it is compared: equal for texts that differ in case alone, in any alphabet."""
    return text.casefold()


def find_all(text: str, wanted: str) -> list[tuple[int, int]]:
    """Characters (begin, end) of `text` where `wanted` stands, whatever the case; none overlap."""
    folded, wanted = fold(text), fold(wanted)
    if not wanted:
        return []
    # Folding makes some letters longer ("ß" becomes "ss"), so places move.
    origin: Sequence[int] = range(len(text))
    if len(folded) != len(text):
        origin = [i for i, letter in enumerate(text) for _ in fold(letter)]
    spans: list[tuple[int, int]] = []
    at = folded.find(wanted)
    while at >= 0:
        last = at + len(wanted) - 1
        span = (origin[at], origin[last] + 1)
        if not spans or span[0] >= spans[-1][1]:
            spans.append(span)
        at = folded.find(wanted, last + 1)
    return spans


def hit_in(index: int, row: Question, wanted: str, place: str | None) -> Hit:
    """Where `wanted` stands in a question; in one of PLACES alone, or in all (None)."""
    texts = [("question", row.question), ("context", row.context)]
    texts += [("answer", text) for text in dict.fromkeys(gold.text for gold in row.answers)]
    found = [
        Found(name, text, tuple(spans))
        for name, text in texts
        if place in (None, name) and (spans := find_all(text, wanted))
    ]
    return Hit(index, row, tuple(found))
