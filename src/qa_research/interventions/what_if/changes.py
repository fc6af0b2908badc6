"""What a stretch of a training is done without, and the random changes of the same size beside it. Pure."""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product
from typing import TypeVar

import numpy as np

from qa_research.capture.components import Component

One = TypeVar("One", bound=Hashable)
# What is changed, random changes of the same size, and all that is like it together.
REFERENCE, CHANGED, RANDOM, BOUND = "as it was", "changed", "random", "whole layers"


@dataclass(frozen=True)
class Change:
    """One training of the steps. `without`: ids of examples that it leaves out; `silent`: names of parts."""

    role: str
    without: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


def random_examples(
    named: Sequence[str], served: Mapping[str, int], draws: int, rng: np.random.Generator
) -> list[Change]:
    """As many random other examples, each drawn among those that the stretch trains on as often.

    All sets are different; where there are fewer than `draws`, all of them. `served`: how often the stretch
    trains on each example; those that it does not train on change nothing, so none takes their place.
    Example: of three named ones two are served once and one never; each draw leaves out two others that are
    served once.

    Raises:
        ValueError: the stretch trains on none of the named ones, or there are too few others.
    """
    wanted = Counter(served[one] for one in named if served.get(one))
    if not wanted:
        raise ValueError(
            "no batch of these steps has any of the examples that are left out, so nothing would change"
        )
    by_count: dict[int, list[str]] = {}
    for one, count in served.items():
        if one not in set(named):
            by_count.setdefault(count, []).append(one)
    for count, number in wanted.items():
        if len(by_count.get(count, [])) < number:
            raise ValueError(
                f"of the examples that these steps train on {count} times, {number} are left out and only "
                f"{len(by_count.get(count, []))} are left to be compared with"
            )
    pools = [(number, by_count[count]) for count, number in sorted(wanted.items())]
    return [Change(RANDOM, without=chosen) for chosen in _different(pools, draws, rng)]


def random_parts(
    named: Sequence[Component],
    known: Sequence[Component],
    draws: int,
    rng: np.random.Generator,
) -> list[list[Component]]:
    """As many random other parts of the same kinds: heads and units of the same layers, else of any layer.

    All sets are different; where there are fewer than `draws`, all of them.

    Example: of heads 3.9 and 3.11 of 12, any two of the other ten heads of layer 3: 45 sets. Of
    feed_forward.3 of six layers, each of the other five.

    Raises:
        ValueError: there is no other part of a kind.
    """
    pools: list[tuple[int, list[Component]]] = []
    groups = Counter((part.kind, None if part.number is None else part.layer) for part in named)
    for (kind, layer), count in sorted(groups.items(), key=str):
        others = [
            one
            for one in known
            if one.kind == kind
            and one not in named
            and (layer is None) == (one.number is None)
            and layer in (None, one.layer)
        ]
        if len(others) < count:
            raise ValueError(
                f"there are only {len(others)} other parts like the {count} {kind} that are silenced"
                + (f" in layer {layer}" if layer is not None else "")
                + ", so there is nothing to compare with"
            )
        pools.append((count, others))
    return [list(chosen) for chosen in _different(pools, draws, rng)]


def _different(
    pools: Sequence[tuple[int, Sequence[One]]], draws: int, rng: np.random.Generator
) -> list[tuple[One, ...]]:
    """Different sets with so many of each pool, drawn at random; all of them, if there are no more."""
    total = math.prod(math.comb(len(others), count) for count, others in pools)
    if total <= draws:
        ways = product(*(combinations(others, count) for count, others in pools))
        return [tuple(chain.from_iterable(way)) for way in ways]
    found: dict[tuple[One, ...], None] = {}
    while len(found) < draws:
        places = (sorted(rng.choice(len(others), count, replace=False)) for count, others in pools)
        chosen = [
            others[place] for (_, others), own in zip(pools, places, strict=True) for place in own
        ]
        found[tuple(chosen)] = None
    return list(found)
