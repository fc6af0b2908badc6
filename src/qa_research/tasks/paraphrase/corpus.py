"""The built-in sentence pairs, generated from a seed: two ways to say the same, and near misses.

A near miss (sentences.yaml has them) differs from a paraphrase in one word, or in the places of two:
"The nurse thanked the pilot." is said again by "The pilot was thanked by the nurse.", and not by "The nurse
was thanked by the pilot.". So words, their number and what two sentences share say nothing, and order and
meaning decide. Validation has words of its own, and so has a part of what is trained on.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import cycle
from typing import Any, Literal

import numpy as np

from qa_research.plain import parse_yaml
from qa_research.streams import stream
from qa_research.tasks.paraphrase.pairs import Pair

TRAIN_PAIRS, VALIDATION_PAIRS = 6_000, 1_000
# Every so many-th entry of a list is kept for validation.
HELD_OUT = 4
# After so many sentences in a row that were there before, there are hardly any others.
MOST_IN_VAIN = 1_000
Values = dict[str, Any]
Lexical = Literal["thing", "mood", "act", "clock", "amount", "duration"]
Kind = Literal[Lexical, "roles", "trade", "preference", "state"]


def generate(seed: int, kinds: Sequence[Kind]) -> tuple[list[Pair], list[Pair]]:
    """The pairs to train on, and those to validate on; as many paraphrases as near misses in each."""
    known = source()["kinds"]
    turns = [kind for kind in known if kind in kinds for _ in range(known[kind]["share"])]
    train = _split(seed, "train", TRAIN_PAIRS, turns)
    return train, _split(seed, "validation", VALIDATION_PAIRS, turns)


def _split(seed: int, split: str, count: int, turns: Sequence[str]) -> list[Pair]:
    """So many different pairs of kinds in turn, or as many as there are; every other one a paraphrase."""
    rng = stream(seed, "pairs", int(split == "validation"))
    found: list[Pair] = []
    known: set[frozenset[str]] = set()
    in_vain = 0
    for kind in cycle(turns):
        if len(found) >= count or in_vain == MOST_IN_VAIN:
            break
        same, near = (_sentences(rng, kind, is_same, split) for is_same in (True, False))
        # Kinds of few words have few sentences, and say nothing new after a while.
        if {frozenset(same), frozenset(near)} & known:
            in_vain += 1
            continue
        in_vain = 0
        for label, sentences in ((1, same), (0, near)):
            known.add(frozenset(sentences))
            found.append(Pair(f"{split}-{len(found)}", *sentences, label, kind))
    return found


def _sentences(rng: np.random.Generator, kind: str, is_same: bool, split: str) -> tuple[str, str]:
    """Two sentences of a kind, which say the same if `is_same`."""
    about = source()["kinds"][kind]
    values = _drawn(rng, about["slots"], split)
    swapped = _swapped(values, about["swap"])
    if rng.random() < 0.5:
        values, swapped = swapped, values
    one, other = about["pairs"][rng.integers(len(about["pairs"]))]
    sentences = [one.format(**values), other.format(**(values if is_same else swapped))]
    first, second = (text[0].upper() + text[1:] for text in rng.permutation(sentences).tolist())
    return first, second


def _drawn(rng: np.random.Generator, slots: dict[str, str], split: str) -> Values:
    """A value for each slot; two slots of one list get different ones.

    A slot of several names, such as "x p q", takes an entry of a list apart.
    """
    values: Values = {}
    used: list[Any] = []
    for names, list_name in slots.items():
        unused = [entry for entry in entries_of(list_name, split) if entry not in used]
        entry = unused[rng.integers(len(unused))]
        used.append(entry)
        several = names.split()
        values |= dict(zip(several, entry, strict=True)) if len(several) > 1 else {names: entry}
    return values


def entries_of(name: str, split: str) -> list[Any]:
    """Those of a list of sentences.yaml that pairs of a split are made of."""
    validates = split == "validation"
    kept = [
        entry
        for place, entry in enumerate(source()["lists"][name], start=1)
        if (place % HELD_OUT == 0) == validates
    ]
    return kept if validates else kept + source()["only_to_train"].get(name, [])


def _swapped(values: Values, swap: list[str]) -> Values:
    """The values with those of the first names of `swap` at the second ones, and the other way round."""
    one, other = (names.split() for names in swap)
    exchanged = dict(zip([*one, *other], [*other, *one], strict=True))
    return {name: values[exchanged.get(name, name)] for name in values}


@cache
def source() -> dict[str, Any]:
    """What pairs are made of, as sentences.yaml has it."""
    name = "sentences.yaml"
    text = files("qa_research.tasks.paraphrase").joinpath(name).read_text(encoding="utf-8")
    content: dict[str, Any] = parse_yaml(text, name)
    return content
