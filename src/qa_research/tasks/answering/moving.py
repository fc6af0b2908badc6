"""Answers that are not at their offset: where they do stand, and why their data count otherwise. Pure.

Offsets go wrong in few ways: another unit (bytes, UTF-16 units, line ends), one too many, a context that was
tidied after the answers were marked (Unicode's normal forms, no-break spaces, case).
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from qa_research.tasks.answering.question import (
    NOT_SAID,
    BadRow,
    Gold,
    Question,
    find_bad_rows,
    is_at_offset,
    readable,
)
from qa_research.text import plural

# An answer that stands several times in its context is moved only if one of them is this near, in characters.
NEAR = 8


@dataclass(frozen=True, slots=True)
class Move:
    """The answer as it stands in the context, and a few words on what was wrong."""

    gold: Gold
    why: str


def find_move(context: str, gold: Gold) -> Move | None:
    """Where an answer that is not at its offset stands; None if nowhere, or if that is not clear.

    Example: "Café: åtte" and ("åtte", 7). Its start is 6 in characters and 7 in bytes, so it moves to 6,
    because its offset counts bytes.
    """
    if not gold.text.strip():
        return None
    if places := _find_all(context, gold.text):
        place = _the_one(context, gold.start, places)
        if place is None:
            return None
        return Move(Gold(gold.text, place), _shift(context, gold.start, place))
    for names in (("form",), ("blanks",), ("case",), ("form", "blanks", "case")):
        if spans := _find_alike(context, gold.text, names):
            place = _the_one(context, gold.start, list(spans))
            if place is None:
                return None
            found = Gold(context[place : spans[place]], place)
            shift = "" if place == gold.start else f", {_shift(context, gold.start, place)}"
            return Move(found, f"{_difference(gold.text, found.text)}{shift}")
    return None


def with_moved_answers(questions: Sequence[Question]) -> tuple[list[Question], list[BadRow]]:
    """The questions with every answer at its offset that can be moved there, and a row for each that was."""
    moved: list[BadRow] = []
    result = []
    for position, row in enumerate(questions):
        golds, reasons = [], []
        for gold in row.answers:
            move = None if is_at_offset(row.context, gold) else find_move(row.context, gold)
            golds.append(move.gold if move else gold)
            if move:
                reasons.append(f"answer {gold.text!r} {_journey(gold, move)}")
        if reasons:
            moved.append(BadRow(position, readable(row.id), readable("; ".join(reasons))))
            row = replace(row, answers=tuple(golds))
        result.append(row)
    return result, moved


def explained(questions: Sequence[Question], bad: Iterable[BadRow]) -> tuple[list[BadRow], int]:
    """The bad rows, each with where its answer stands or why that is not clear; and how many moving mends."""
    result, movable = [], 0
    for row in bad:
        question = questions[row.position]
        wrong = [g for g in question.answers if not is_at_offset(question.context, g)]
        move = find_move(question.context, wrong[0]) if wrong else None
        if wrong and row.reason.startswith("answer "):
            (mended,), _ = with_moved_answers([question])
            movable += not find_bad_rows([mended])
            where = _journey(wrong[0], move) if move else _why_unclear(question.context, wrong[0])
            row = replace(row, reason=f"{row.reason}: it {where}")
        result.append(row)
    return result, movable


def _journey(gold: Gold, move: Move) -> str:
    place = move.gold.start
    if gold.start == NOT_SAID:
        return f"stands at {place} ({move.why})"
    if place == gold.start:
        return f"stands at {place} in another spelling ({move.why})"
    return f"stands at {place}, not {gold.start} ({move.why})"


def _why_unclear(context: str, gold: Gold) -> str:
    """A few words on an answer that cannot be moved."""
    count = len(_find_all(context, gold.text))
    if not count:
        count = len(_find_alike(context, gold.text, tuple(_SAME)))
    if count:
        near = "" if gold.start == NOT_SAID else f", none of which is clearly meant by {gold.start}"
        return f"stands {plural(count, 'time')} in the context{near}"
    return "does not stand in the context"


def _find_all(text: str, wanted: str) -> list[int]:
    places, at = [], text.find(wanted)
    while at >= 0:
        places.append(at)
        at = text.find(wanted, at + 1)
    return places


def _the_one(context: str, start: int, places: Sequence[int]) -> int | None:
    """The place that is meant: the only one, or the only one that a way of counting or nearness explains."""
    if len(places) == 1 or start == NOT_SAID:
        return places[0] if len(places) == 1 else None
    counted = [place for place in places if _unit(context, start, place)]
    near = [place for place in places if abs(place - start) <= NEAR]
    for some in (counted, near):
        if some:
            return some[0] if len(some) == 1 else None
    return None


_UNITS: dict[str, Callable[[str], int]] = {
    "bytes of UTF-8": lambda before: len(before.encode("utf-8", "surrogatepass")),
    "UTF-16 units": lambda before: len(before.encode("utf-16-le", "surrogatepass")) // 2,
    "a line end of two characters as one": lambda before: len(before) - before.count("\r\n"),
    "a line end as two characters": lambda before: len(before) + before.count("\n"),
    "from the first character that is not a blank": lambda before: len(before.lstrip()),
}


def _unit(context: str, start: int, place: int) -> str | None:
    """What the offset counts, if that makes `place` of it."""
    before = context[:place]
    for name, count in _UNITS.items():
        if start != place and count(before) == start:
            return name
    return None


def _shift(context: str, start: int, place: int) -> str:
    if start == NOT_SAID:
        return "and only there"
    if unit := _unit(context, start, place):
        return f"the offset counts {unit}"
    side = "left" if place < start else "right"
    return f"{abs(place - start)} to the {side}"


# What a character becomes where texts are compared that differ in form, blanks or case.
_SAME: dict[str, Callable[[str], str]] = {
    "form": lambda letter: unicodedata.normalize("NFD", letter),
    "blanks": lambda letter: " " if letter.isspace() else "" if _is_invisible(letter) else letter,
    "case": lambda letter: letter.casefold(),
}

_DIFFERENCES = {
    "form": "another normal form of Unicode",
    "blanks": "other blanks or invisible characters",
    "case": "another case",
}


def _is_invisible(letter: str) -> bool:
    """Zero-width characters, soft hyphens, byte order marks and signs of direction."""
    return unicodedata.category(letter) == "Cf"


def _alike(text: str, names: Iterable[str]) -> tuple[str, list[int]]:
    """The text as it is compared, and for each of its characters the character of `text` it is from."""
    letters: list[str] = []
    origin: list[int] = []
    for i, letter in enumerate(text):
        for name in names:
            letter = "".join(map(_SAME[name], letter))
        letters += letter
        origin += [i] * len(letter)
    return "".join(letters), origin


def _find_alike(context: str, wanted: str, names: Sequence[str]) -> dict[int, int]:
    """Start and end of each part of the context that is `wanted` but for form, blanks or case."""
    text, origin = _alike(context, names)
    key = _alike(wanted, names)[0]
    spans = {}
    for at in _find_all(text, key) if key.strip() else ():
        end = at + len(key)
        # Half of a character, or a letter without its accent, is another text.
        cut = end < len(text) and (
            origin[end] == origin[end - 1] or unicodedata.combining(text[end])
        )
        if not cut and (at == 0 or origin[at - 1] != origin[at]):
            spans[origin[at]] = origin[end - 1] + 1
    return spans


def _difference(answer: str, found: str) -> str:
    """How two texts differ that are alike but for form, blanks or case."""
    names = []
    for name in _SAME:
        others = [other for other in _SAME if other != name]
        if _alike(answer, others)[0] != _alike(found, others)[0]:
            names.append(name)
    if names == ["form"]:
        return f"the answer is in {_form(answer)} Unicode, the context in {_form(found)}"
    words = (
        " and ".join(_DIFFERENCES[name] for name in names) or "other characters of the same look"
    )
    return f"the context has it with {words}"


def _form(text: str) -> str:
    if unicodedata.is_normalized("NFC", text):
        return "composed (NFC)"
    return "decomposed (NFD)" if unicodedata.is_normalized("NFD", text) else "mixed"
