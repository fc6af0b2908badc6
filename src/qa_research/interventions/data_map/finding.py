"""How well a measure of examples finds some that are marked, such as those with a wrong answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.stats import CONFIDENCE, DRAWS_AT_ONCE
from qa_research.streams import stream

CHANCE = 0.5
# Enough for ends to two digits, and 10,000 would take a minute for each measure of all of SQuAD.
RESAMPLES = 2000


@dataclass(frozen=True)
class Auc:
    """The chance that a marked example has a higher value than one that is not (ties count half).

    With its 95 % interval over other examples of the same kind.
    """

    value: float
    low: float
    high: float


def auc_of(
    values: Float[ndarray, " example"],
    is_marked: Bool[ndarray, " example"],
    groups: Int[ndarray, " example"],
) -> Auc:
    """How well high values find what is marked. `groups`: those with one number are resampled together.

    Groups get exponential weights. For the lower end there is one more marked example that is below all
    others, for the upper end one above all of them: as in `stats.mean_intervals`, so that an area of 1 from a
    few marked examples is not taken for certain.

    Example: values 3, 1, 2, 0 of which the first two are marked: 3 is above both others, 1 above one of two:
    (1 + 1/2) / 2 = 0.75.

    Raises:
        ValueError: all are marked, or none.
    """
    if is_marked.all() or not is_marked.any():
        raise ValueError("an area under the curve needs examples that are marked, and others")
    # Equal values are one level: only what is on a lower level counts whole.
    levels, level = np.unique(values, return_inverse=True)
    _, group = np.unique(groups, return_inverse=True)
    ones = np.ones((1, len(values)))
    value = _weighted(level, len(levels), is_marked, ones)[0]
    rng = stream(0, "auc")
    lows, highs = [], []
    at_once = max(1, DRAWS_AT_ONCE // len(values))
    for start in range(0, RESAMPLES, at_once):
        draws = min(at_once, RESAMPLES - start)
        weights = rng.standard_exponential((draws, group.max() + 1))[:, group]
        marked = weights[:, is_marked].sum(axis=1)
        # The weight of one more marked example, of mean size.
        extra = rng.standard_exponential(draws)
        own = _weighted(level, len(levels), is_marked, weights)
        lows.append(own * marked / (marked + extra))
        highs.append((own * marked + extra) / (marked + extra))
    tail = 100 * (1 - CONFIDENCE) / 2
    low = float(np.percentile(np.concatenate(lows), tail))
    # Sums of weights may exceed 1 by rounding.
    high = min(1.0, float(np.percentile(np.concatenate(highs), 100 - tail)))
    return Auc(float(value), low, high)


def _weighted(
    level: Int[ndarray, " example"],
    count: int,
    is_marked: Bool[ndarray, " example"],
    weights: Float[ndarray, "draw example"],
) -> Float[ndarray, " draw"]:
    """The area under the curve of weighted examples at `count` levels."""
    order = np.argsort(level[~is_marked], kind="stable")
    others = weights[:, ~is_marked][:, order]
    # Of each level, where the others of lower levels end in their order.
    ends = np.searchsorted(level[~is_marked][order], np.arange(count + 1))
    sums = np.concatenate([np.zeros((len(weights), 1)), others.cumsum(axis=1)], axis=1)
    below = sums[:, ends]
    # Halfway between those of lower levels and those of no higher ones.
    won = (below[:, level[is_marked]] + below[:, level[is_marked] + 1]) / 2
    own = weights[:, is_marked]
    area: ndarray = (won * own).sum(axis=1) / own.sum(axis=1) / sums[:, -1]
    return area


@dataclass(frozen=True)
class Found:
    """How well one measure finds the marked examples, if high values of it are taken for the mark."""

    measure: str
    auc: Auc


def found_by(
    measures: Mapping[str, Float[ndarray, " example"]],
    is_marked: Bool[ndarray, " example"],
    groups: Int[ndarray, " example"],
) -> tuple[Found, ...]:
    """How well each of some measures finds what is marked; one that is not defined is left out."""
    return tuple(
        Found(name, auc_of(values, is_marked, groups))
        for name, values in measures.items()
        if np.isfinite(values).all()
    )
