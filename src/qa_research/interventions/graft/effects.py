"""What weights do to scores, by kind of example: with intervals, and beside random sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.stats import TOLERANCE
from qa_research.tasks.scoring import (
    Columns,
    by_kind,
    difference_of,
    groups_of,
    interval_of,
    value_of,
)
from qa_research.tasks.task import Metric


@dataclass(frozen=True)
class Scored:
    """A score of some examples in the metric's unit, with its 95 % interval."""

    score: float
    low: float
    high: float
    examples: int


@dataclass(frozen=True)
class Effect:
    """The score with a part replaced, and how much more it is than without, with its 95 % interval.

    `p`: two-sided, that nothing changed; see `stats.sign_flips`. `as_far`: how many of the random sets moved
    the score at least as far towards the other step's; None: there are none.
    """

    score: float
    change: float
    low: float
    high: float
    p: float
    as_far: int | None


@dataclass(frozen=True)
class RandomSets:
    """What random sets of as many weights scored, by side and by kind of example."""

    name: str
    scores: dict[str, dict[str, tuple[float, ...]]]


@dataclass(frozen=True)
class Asked:
    """Which examples are of each kind (`all` first), and which belong together."""

    metric: Metric
    by_kind: Mapping[str, NDArray[np.int64]]
    groups: NDArray[np.int64] | None

    @classmethod
    def about(cls, rows: Sequence[Mapping[str, Any]], metric: Metric) -> "Asked":
        """Of what a network made of the examples (`Opened.rows`)."""
        return cls(metric, by_kind(rows), groups_of(rows))

    def of(self, columns: Columns, kind: str) -> Columns:
        """What the examples of a kind have."""
        return {key: column[self.by_kind[kind]] for key, column in columns.items()}

    def groups_of(self, kind: str) -> NDArray[np.int64] | None:
        """Which of a kind belong together."""
        return None if self.groups is None else self.groups[self.by_kind[kind]]

    def values(self, columns: Columns) -> dict[str, float]:
        """The metric by kind."""
        return {kind: value_of(self.of(columns, kind), self.metric) for kind in self.by_kind}


def base_of(columns: Columns, asked: Asked) -> dict[str, Scored]:
    """The scores of one side as it is, by kind."""
    found = {}
    for kind, rows in asked.by_kind.items():
        own = asked.of(columns, kind)
        ends = interval_of(own, asked.metric, asked.groups_of(kind))
        found[kind] = Scored(value_of(own, asked.metric), ends.low, ends.high, len(rows))
    return found


def effect_of(
    pair: tuple[Columns, Columns],
    goal: float,
    random: Sequence[float] | None,
    metric: Metric,
    groups: NDArray[np.int64] | None,
) -> Effect:
    """What replacing did; `goal`: what the other step scores."""
    before, after = (value_of(columns, metric) for columns in pair)
    found = difference_of(*pair, metric, groups)
    towards = 1.0 if goal >= before else -1.0
    as_far = None
    if random is not None:
        # Towards 98 from 30: a part that gives 61 is reached by random sets that give 61 or more.
        as_far = sum(towards * (score - after) >= -TOLERANCE for score in random)
    ends = found.interval
    return Effect(after, found.value, ends.low, ends.high, found.p, as_far)
