"""Single rows of the reference system's tables, whose columns have no types, as numbers. Pure."""

import re
from dataclasses import dataclass
from typing import Any

# The reference asked three questions at once.
ROUND = 3
_NAME = re.compile(r".+?(?P<random>-NoPretrain)?-(?P<step>\d{1,15})-(?P<data>.+)")
# More digits are no count, and beyond what SQLite can hold.
_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Tried:
    """A row of sample_indices: a search of so many `questions`.

    `slots`: the index of each question in the order of asking; None: lost in one of the `crashes`.
    """

    row: int
    questions: int
    slots: tuple[int | None, ...]
    crashes: int

    @property
    def known(self) -> tuple[int, ...]:
        """The indices that were not lost."""
        return tuple(slot for slot in self.slots if slot is not None)


@dataclass(frozen=True, slots=True)
class ReferenceState:
    """A row of model_efficacy: so many `right` of `asked`, and the `lengths` of the searches it lists.

    `step`, `pretrained`: None where the name does not say. `data`: what it was asked from.
    """

    row: int
    name: str
    step: int | None
    pretrained: bool | None
    data: str
    right: int
    asked: int
    lengths: tuple[int, ...]
    tried: tuple[Tried, ...]


def whole(value: Any) -> int | None:
    """A count, whatever it was stored as; None: it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


def name_parts(name: str) -> tuple[int | None, bool | None, str]:
    """Step, whether pretrained, and data of `Architecture[-NoPretrain]-step-data`."""
    parsed = _NAME.fullmatch(name)
    if not parsed:
        return None, False if "NoPretrain" in name else None, "not known"
    return int(parsed["step"]), not parsed["random"], parsed["data"]


def read_lengths(value: Any, where: str, notes: list[str]) -> tuple[int, ...]:
    """The searches of a sample_seq, which may be one number, a list with commas, or nothing."""
    words = _words(value)
    if "" in words:
        notes.append(f"{where}: sample_seq={value!r} has an empty place between its commas")
    words = [word for word in words if word != ""]
    bad = [word for word in words if not whole(word)]
    if bad:
        notes.append(
            f"{where}: sample_seq has {', '.join(map(repr, bad))}, which is no search's length"
        )
    return tuple(length for word in words if (length := whole(word)))


def read_tried(row: int, number: Any, ids: Any, notes: list[str]) -> Tried | None:
    """A row of sample_indices; None: not all of it are numbers.

    A crash left an empty place between commas where three indices are missing, and its three questions
    were counted: seq_num is the number of indices and three for each crash. Of more empty places than
    that says the rest are stray commas.
    """
    questions = whole(number)
    words = _words(ids)
    indices = {place: whole(word) for place, word in enumerate(words) if word != ""}
    if not questions or None in indices.values():
        return None
    if not indices:
        return Tried(row, questions, (), 0)
    gaps = [place for place in range(len(words)) if place not in indices]
    lost, rest = divmod(questions - len(indices), ROUND)
    crashes = max(0, min(lost, len(gaps)))
    if rest or lost != crashes:
        notes.append(
            f"row {row} of sample_indices: seq_num says {questions} questions, where "
            f"{len(indices)} indices and {len(gaps)} gaps of a crash stand"
        )
    elif crashes < len(gaps):
        notes.append(f"row {row} of sample_indices: seq_ids has a comma too many")
    # At its end a search was right, so a stray comma stands at an end rather than between rounds.
    gaps.sort(key=lambda place: not min(indices) < place < max(indices))
    slots: list[int | None] = []
    for place in range(len(words)):
        if place in indices:
            slots.append(indices[place])
        elif place in gaps[:crashes]:
            slots += [None] * ROUND
    return Tried(row, questions, tuple(slots), crashes)


def _words(value: Any) -> list[Any]:
    """What stands between commas; a lone number is one word."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else [value]
