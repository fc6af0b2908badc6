"""What a probe reads: a label of each token or of each example, and the control of Hewitt and Liang 2019,
whose label says nothing but which word a token is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from qa_research.streams import stream
from qa_research.tasks.watching import WatchedExample

NAMES = ("answer", "kind", "position", "group")
POSITION_BINS = 4
# How many tokens of an example's beginning are its type: "what is", "on which".
TYPE_TOKENS = 2
# More tokens make a probe slower and hardly better.
MOST_TOKENS = 4000
_SPECIAL = ("padding", "cls", "sep")
# Such an item is all of an example, and not one of its tokens.
WHOLE = -1


@dataclass(frozen=True)
class Items:
    """What one probe is trained and scored on: some tokens, or examples as wholes.

    By item: the number of its `example`, its `token` there (WHOLE: the mean of all), its class (`label`), and
    its `type`, which the control's label is a function of: a token's word piece; of an example the first two
    tokens of its text.
    """

    name: str
    classes: tuple[str, ...]
    example: Int[ndarray, " item"]
    token: Int[ndarray, " item"]
    label: Int[ndarray, " item"]
    type: Int[ndarray, " item"]

    @property
    def level(self) -> Literal["token", "example"]:
        """What has the label."""
        return "example" if (self.token == WHOLE).all() else "token"

    def some(self, chosen: ndarray) -> "Items":
        """The items that an index or a mask chooses."""
        picked = {n: getattr(self, n)[chosen] for n in ("example", "token", "label", "type")}
        return replace(self, **picked)

    def control(self, seed: int) -> Int[ndarray, " item"]:
        """A class for each item that depends on its type alone, drawn with `seed`.

        There are as many classes as of the label, and each gets equally many types, give or take one.

        Raises:
            ValueError: there are fewer types than classes, so that the control would have less to tell.

        Source: Hewitt and Liang 2019, Designing and Interpreting Probes with Control Tasks, section 2.
        """
        types = np.unique(self.type)
        if len(types) < len(self.classes):
            raise ValueError(
                f"the control of {self.name} needs a type of {self.level} for each of {len(self.classes)} "
                f"classes, got {len(types)} in these examples; --questions N takes more"
            )
        order = stream(seed, "probe-control", NAMES.index(self.name)).permutation(len(types))
        drawn = np.empty(len(types), dtype=np.int64)
        drawn[order] = np.arange(len(types)) % len(self.classes)
        found: ndarray = drawn[np.searchsorted(types, self.type)]
        return found


def items_of(
    name: str, examples: Sequence[WatchedExample], groups: Sequence[str], seed: int
) -> Items:
    """The items of a label; of many tokens, MOST_TOKENS drawn with `seed`.

    `groups`: of each example, what kind of thing it asks for; empty where nobody knows.

    Raises:
        ValueError: these examples have one class of it, or none.
    """
    if name in ("kind", "group"):
        words = [row.kind for row in examples] if name == "kind" else list(groups)
        found = _of_examples(name, examples, words)
    elif name == "answer":
        found = _answer(examples)
    else:
        found = _position(examples)
    present = np.unique(found.label)
    if len(present) < 2:
        only = f"only the class {found.classes[present[0]]!r}" if len(present) else "no class"
        raise ValueError(
            f"--read {name} has {only} in these examples; a probe needs two (others to read: "
            f"{', '.join(other for other in NAMES if other != name)})"
        )
    if len(found.label) > MOST_TOKENS and found.level == "token":
        drawn = stream(seed, "probe-tokens").choice(len(found.label), MOST_TOKENS, replace=False)
        found = found.some(np.sort(drawn))
    return found


def _of_examples(name: str, examples: Sequence[WatchedExample], words: Sequence[str]) -> Items:
    """One item an example, of those that have a word."""
    kept = [i for i, word in enumerate(words) if word]
    classes = sorted({words[i] for i in kept})
    return Items(
        name,
        tuple(classes),
        np.array(kept, dtype=np.int64),
        np.full(len(kept), WHOLE, dtype=np.int64),
        np.array([classes.index(words[i]) for i in kept], dtype=np.int64),
        _numbers([" ".join(_beginning(examples[i])) for i in kept]),
    )


def _beginning(example: WatchedExample) -> list[str]:
    """The first tokens of an example's first text, such as those of the question."""
    first = next((part for part in example.parts if part not in _SPECIAL), "")
    own = [t for t, part in zip(example.tokens, example.parts, strict=True) if part == first]
    return own[:TYPE_TOKENS]


def _answer(examples: Sequence[WatchedExample]) -> Items:
    """Whether a token carries the truth; of the parts where some do, so that a question's own never ask."""
    parts = {row.parts[i] for row in examples for i in row.marked}
    places = [
        (number, i, int(i in set(row.marked)))
        for number, row in enumerate(examples)
        if row.marked
        for i, part in enumerate(row.parts)
        if part in parts
    ]
    return _of_tokens("answer", ("other", "answer"), examples, places)


def _position(examples: Sequence[WatchedExample]) -> Items:
    """In which quarter of all positions a token stands; each has about as many tokens."""
    positions = np.concatenate([np.arange(len(row.tokens)) for row in examples])
    inner = np.unique(np.quantile(positions, np.arange(1, POSITION_BINS) / POSITION_BINS).round())
    ends = [0, *inner.astype(int).tolist(), int(positions.max()) + 1]
    classes = tuple(f"{low} to {high - 1}" for low, high in pairwise(ends))
    places = [
        (number, i, int(np.searchsorted(inner, i, side="right")))
        for number, row in enumerate(examples)
        for i in range(len(row.tokens))
    ]
    return _of_tokens("position", classes, examples, places)


def _of_tokens(
    name: str,
    classes: tuple[str, ...],
    examples: Sequence[WatchedExample],
    places: Sequence[tuple[int, int, int]],
) -> Items:
    """Items at (example, token, class)."""
    table = np.array(places, dtype=np.int64).reshape(-1, 3)
    types = _numbers([examples[number].tokens[i] for number, i, _ in places])
    return Items(name, classes, table[:, 0], table[:, 1], table[:, 2], types)


def _numbers(words: Sequence[str]) -> Int[ndarray, " item"]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(w, len(numbers)) for w in words], dtype=np.int64)
