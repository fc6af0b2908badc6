"""What a change of a training did to its scores over the steps, beside random changes of the same size."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.stats import TOLERANCE
from qa_research.tasks.scoring import Columns, difference_of, value_of
from qa_research.tasks.task import Metric


@dataclass(frozen=True)
class StepEffect:
    """The scores at the end of a step, of some kind of example, in the metric's unit.

    `change`: how much more the changed training has, with its 95 % interval over examples and its p (see
    `stats.sign_flips`). `random`: what each of the random changes scores; `as_far`: how many of them are at
    least as far from the training as it was, in whatever direction. `bound`: with whole layers silent.
    """

    step: int
    as_it_was: float
    changed: float
    change: float
    low: float
    high: float
    p: float
    random: tuple[float, ...]
    as_far: int
    bound: float | None


@dataclass(frozen=True)
class Reached:
    """The first of the scored steps at which each training has a score; None: not in this stretch.

    `level`: the score. `random`: of each of the random changes.
    """

    level: float
    as_it_was: int | None
    changed: int | None
    random: tuple[int | None, ...]
    bound: int | None

    @property
    def delay(self) -> int | None:
        """By how many steps the changed training comes later; None: one of the two does not come."""
        if self.as_it_was is None or self.changed is None:
            return None
        return self.changed - self.as_it_was

    @property
    def as_late(self) -> int:
        """How many of the random changes come at least as late, or not at all."""
        end = np.inf
        own = end if self.changed is None else self.changed
        return sum((end if one is None else one) >= own for one in self.random)

    def as_json(self) -> dict[str, Any]:
        """As JSON's values, with what follows from them."""
        return {**asdict(self), "delay": self.delay, "as_late": self.as_late}


@dataclass(frozen=True)
class WhatIf:
    """All of it. `changed`: what was changed, in words; `random_words`: what the random changes are.

    `effects`: by kind of example (`all` first) over the steps; `reached`: by kind. `exact`: whether the
    training as it was gave the weights that its run has kept, and how many were compared.
    """

    run: str
    first: int
    until: int
    changed: str
    random_words: str
    examples: int
    example_name: str
    metric: Metric
    effects: dict[str, tuple[StepEffect, ...]]
    reached: dict[str, Reached]
    exact: bool
    compared: int
    seconds: float
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values."""
        reached = {kind: one.as_json() for kind, one in self.reached.items()}
        return {**asdict(self), "reached": reached}


def kinds_of(effects: Mapping[str, Any]) -> list[str]:
    """The kinds of example that are told, of what is known by kind; `all`, the first, only if alone."""
    return list(effects)[1:] or list(effects)


def effect_at(
    step: int,
    as_it_was: Columns,
    changed: Columns,
    random: Sequence[Columns],
    bound: Columns | None,
    metric: Metric,
    groups: NDArray[np.int64] | None,
) -> StepEffect:
    """The effect at one step, of the examples that the columns are of."""
    before = value_of(as_it_was, metric)
    found = difference_of(as_it_was, changed, metric, groups)
    scores = tuple(value_of(one, metric) for one in random)
    far = sum(abs(one - before) >= abs(found.value) - TOLERANCE for one in scores)
    return StepEffect(
        step=step,
        as_it_was=before,
        changed=value_of(changed, metric),
        change=found.value,
        low=found.interval.low,
        high=found.interval.high,
        p=found.p,
        random=scores,
        as_far=far,
        bound=None if bound is None else value_of(bound, metric),
    )


def reached_of(effects: Sequence[StepEffect], level: float | None, metric: Metric) -> Reached:
    """When each training first scores `level`; None: halfway from the first to the last score as it was.

    Example: 30, 40, 80, 98 at steps 48, 60, 72, 84: halfway is 64, reached at 72; with 30, 35, 50, 90 it is
    reached at 84, twelve steps later.
    """
    first, last = effects[0].as_it_was, effects[-1].as_it_was
    wanted = (first + last) / 2 if level is None else level
    sign = 1 if metric["better"] == "higher" else -1

    def when(scores: Sequence[float]) -> int | None:
        for effect, score in zip(effects, scores, strict=True):
            if sign * score >= sign * wanted - TOLERANCE:
                return effect.step
        return None

    bounds = [effect.bound for effect in effects]
    return Reached(
        level=wanted,
        as_it_was=when([effect.as_it_was for effect in effects]),
        changed=when([effect.changed for effect in effects]),
        random=tuple(
            when([effect.random[n] for effect in effects]) for n in range(len(effects[0].random))
        ),
        bound=None if any(one is None for one in bounds) else when([one or 0.0 for one in bounds]),
    )
