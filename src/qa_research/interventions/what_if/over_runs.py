"""The same change of several runs, such as those of several seeds: what it does in all of them. Pure."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qa_research.interventions.what_if.effects import Reached, WhatIf
from qa_research.stats import TOLERANCE
from qa_research.streams import stream

# How often one change is drawn of each run, to tell how far their mean is by chance.
DRAWS = 10_000


@dataclass(frozen=True)
class MeanEffect:
    """At the end of a step: the change of each run, and their mean, in the metric's unit.

    `p`: how often the mean is at least as far from 0 if in each run it is drawn which of the changes, the
    random ones and this one, was the one that was asked about.
    """

    step: int
    changes: tuple[float, ...]
    mean: float
    p: float


@dataclass(frozen=True)
class OverRuns:
    """`effects`: by kind over the steps; `reached`: by kind, of each run, when it has a score."""

    runs: tuple[str, ...]
    effects: dict[str, tuple[MeanEffect, ...]]
    reached: dict[str, tuple[Reached, ...]]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values."""
        reached = {kind: [one.as_json() for one in own] for kind, own in self.reached.items()}
        return {**asdict(self), "reached": reached}


def over_runs(found: Sequence[WhatIf]) -> OverRuns:
    """What the same change of some runs did in all of them.

    Example: two runs with the changes -10 and -8, and one random change each, +1 and -2. Of the four ways to
    draw one of each run, the means are -9, -6, -3.5 and -0.5: one is as far as -9, so p is 1/4.

    Raises:
        ValueError: see `check_comparable`.
    """
    check_comparable(found)
    steps = _steps(found[0])
    rng = stream(0, "what-if-over-runs")
    return OverRuns(
        runs=tuple(one.run for one in found),
        effects={
            kind: tuple(_mean_effect(found, kind, place, rng) for place in range(len(own)))
            for kind, own in steps.items()
        },
        reached={kind: tuple(one.reached[kind] for one in found) for kind in steps},
    )


def check_comparable(found: Sequence[WhatIf]) -> None:
    """Refuse runs that cannot be put together.

    Raises:
        ValueError: they have other kinds of examples, steps or metrics.
    """
    first = found[0]
    for other in found[1:]:
        if _steps(other) != _steps(first):
            raise ValueError(_apart(first, other, f"kinds of {other.example_name}"))
        if other.metric != first.metric:
            raise ValueError(_apart(first, other, "metrics"))


def _steps(found: WhatIf) -> dict[str, list[int]]:
    return {kind: [one.step for one in own] for kind, own in found.effects.items()}


def _apart(first: WhatIf, other: WhatIf, what: str) -> str:
    return f"{other.run} has other {what} than {first.run}, so they cannot be combined; name one at a time"


def _mean_effect(
    found: Sequence[WhatIf], kind: str, place: int, rng: np.random.Generator
) -> MeanEffect:
    own = [one.effects[kind][place] for one in found]
    changes = [effect.change for effect in own]
    pools = [
        np.array([effect.change, *(score - effect.as_it_was for score in effect.random)])
        for effect in own
    ]
    ways = math.prod(len(pool) for pool in pools)
    if ways <= DRAWS:
        sums = np.zeros(1)
        for pool in pools:
            sums = (sums[:, None] + pool[None, :]).ravel()
    else:
        sums = sum((rng.choice(pool, DRAWS) for pool in pools), np.zeros(DRAWS))
        # What was asked about is one of the ways.
        sums = np.append(sums, sum(changes))
    far = np.abs(sums) >= abs(sum(changes)) - TOLERANCE
    return MeanEffect(own[0].step, tuple(changes), float(np.mean(changes)), float(far.mean()))
