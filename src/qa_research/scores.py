"""Scores of a set of examples that are no mean over them: correlations, F1 of a class, calibration error.

Pure: columns of numbers in, numbers out. Each takes many weightings of the same examples at once, which is
what a bootstrap and a permutation test ask of it. Means have intervals and tests of their own in stats.py.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from qa_research.stats import CONFIDENCE, RESAMPLES, TOLERANCE, Interval, batch_sizes
from qa_research.streams import stream

Columns = Float[ndarray, "column example"]
Weights = Float[ndarray, "draw example"]


@dataclass(frozen=True)
class Statistic:
    """A number of a set of examples, of which each counts as often as its weight says.

    `compute`: from the columns, and weights of which no draw is all zero. `least` and `most`: the columns of
    an example than which none pulls the number further down, or up; None where nothing bounds it.
    """

    compute: Callable[[Columns, Weights], Float[ndarray, " draw"]]
    least: tuple[float, ...] | None = None
    most: tuple[float, ...] | None = None

    def of(self, columns: Columns) -> float:
        """The number of these examples, each counted once.

        Raises:
            ValueError: there are none.
        """
        if not columns.shape[1]:
            raise ValueError("a score of no examples is not defined")
        return float(self.compute(columns, np.ones((1, columns.shape[1])))[0])


def pearson(columns: Columns, weights: Weights) -> Float[ndarray, " draw"]:
    """The correlation of the first column with the second; 0 where one of them is constant."""
    x, y = columns - columns.mean(axis=1, keepdims=True)
    return _correlation(x[None], y[None], weights)


def spearman(columns: Columns, weights: Weights) -> Float[ndarray, " draw"]:
    """The correlation of the ranks, equal values sharing the mean of theirs; 0 where a column is constant."""
    x, y = (_ranks(column, weights) for column in columns)
    return _correlation(x, y, weights)


def f1(columns: Columns, weights: Weights) -> Float[ndarray, " draw"]:
    """The F1 of class 1: predicted (0 or 1) against true (0 or 1); 0 where no 1 is predicted rightly."""
    # 2 TP / (2 TP + FP + FN). Predicted 1 1 0, true 1 0 1: TP, FP and FN are 1 each, so F1 is 2 / 4.
    predicted, true = columns
    both = weights @ (predicted * true)
    either = weights @ (predicted + true)
    found: Float[ndarray, " draw"] = np.divide(
        2 * both, either, out=np.zeros_like(both), where=either > 0
    )
    return found


# What a metric of a config may name as its `statistic`.
STATISTICS: Mapping[str, Statistic] = {
    "pearson": Statistic(pearson),
    "spearman": Statistic(spearman),
    "f1": Statistic(f1, least=(1.0, 0.0), most=(1.0, 1.0)),
}


def statistic_interval(
    statistic: Statistic, columns: Columns, groups: Int[ndarray, " example"] | None
) -> Interval:
    """The 95 % interval over other examples of the same kind; `groups`: as in `stats.mean_intervals`.

    The Bayesian bootstrap: random weights for the examples, or for the groups. Where the number is bounded,
    one more example, the least or the most possible, is weighted in, as `stats.mean_intervals` does: without
    it 20 right answers of 20 would say that all others are right, too.

    Raises:
        ValueError: no examples.
    Source: Rubin 1981, The Bayesian Bootstrap; Gaffke 2005 for the example that is added.
    """
    statistic.of(columns)
    count = columns.shape[1]
    alone = _ends(statistic, columns, np.arange(count))
    if groups is None:
        return Interval(*alone, None)
    group_of = np.unique(groups, return_inverse=True)[1]
    if group_of.max() + 1 == count:
        return Interval(*alone, 1.0)
    low, high = _ends(statistic, columns, group_of)
    width = alone[1] - alone[0]
    return Interval(low, high, (high - low) / width if width > TOLERANCE else 1.0)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much more the second of two runs scored on the same examples: value, 95 % interval, two-sided p."""

    value: float
    interval: Interval
    p: float


def statistic_difference(
    statistic: Statistic, first: Columns, second: Columns, groups: Int[ndarray, " example"] | None
) -> PairedDifference:
    """Two runs compared: `first` and `second` have a column for each key, and the same examples.

    The interval weights an example alike in both. `p` is how often runs that are equally good differ as much:
    then each example's two rows could as well be exchanged, which is done at random.

    Raises:
        ValueError: no examples.
    Source: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses (approximate randomisation).
    """
    value = statistic.of(second) - statistic.of(first)
    count = first.shape[1]
    alone = _ends_of_difference(statistic, first, second, np.arange(count))
    if groups is None:
        interval, group_of = Interval(*alone, None), np.arange(count)
    else:
        group_of = np.unique(groups, return_inverse=True)[1]
        low, high = _ends_of_difference(statistic, first, second, group_of)
        width = alone[1] - alone[0]
        interval = Interval(low, high, (high - low) / width if width > TOLERANCE else 1.0)
    return PairedDifference(value, interval, _p_of_exchanges(statistic, first, second, group_of))


def _ends(
    statistic: Statistic, columns: Columns, group_of: Int[ndarray, " example"]
) -> tuple[float, float]:
    """The ends of an interval whose resampled units are the groups."""
    lows, highs = [], []
    for weights, extra in _drawn(group_of):
        lows.append(_with(statistic, columns, statistic.least, weights, extra))
        highs.append(_with(statistic, columns, statistic.most, weights, extra))
    return _tails(np.concatenate(lows), np.concatenate(highs))


def _ends_of_difference(
    statistic: Statistic, first: Columns, second: Columns, group_of: Int[ndarray, " example"]
) -> tuple[float, float]:
    """The same of a difference, which is least if the added example pulls the second run down."""
    lows, highs = [], []
    for weights, extra in _drawn(group_of):
        least = [
            _with(statistic, columns, statistic.least, weights, extra)
            for columns in (first, second)
        ]
        most = [
            _with(statistic, columns, statistic.most, weights, extra) for columns in (first, second)
        ]
        lows.append(least[1] - most[0])
        highs.append(most[1] - least[0])
    return _tails(np.concatenate(lows), np.concatenate(highs))


def _drawn(group_of: Int[ndarray, " example"]) -> Iterator[tuple[Weights, Weights]]:
    """Weights of all resamples, a batch at a time: of the examples, and of one that is added."""
    rng = stream(0, "intervals")
    groups = int(group_of.max()) + 1
    size = len(group_of) / groups
    for draws in batch_sizes(len(group_of)):
        weights = rng.standard_exponential((draws, groups))[:, group_of]
        yield weights, size * rng.standard_exponential((draws, 1))


def _with(
    statistic: Statistic,
    columns: Columns,
    added: tuple[float, ...] | None,
    weights: Weights,
    extra: Weights,
) -> Float[ndarray, " draw"]:
    """The number with one more example of the weights `extra`, if there is one to add."""
    if added is None:
        return statistic.compute(columns, weights)
    more = np.concatenate([columns, np.array(added)[:, None]], axis=1)
    return statistic.compute(more, np.concatenate([weights, extra], axis=1))


def _tails(lows: Float[ndarray, " draw"], highs: Float[ndarray, " draw"]) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    return float(np.percentile(lows, tail)), float(np.percentile(highs, 100 - tail))


def _p_of_exchanges(
    statistic: Statistic, first: Columns, second: Columns, group_of: Int[ndarray, " example"]
) -> float:
    # The rows of both runs side by side: a run is those with the weight 1, and an exchange changes which.
    # Two examples, the second exchanged: weights 1 0 0 1 are the first run, 0 1 1 0 the second.
    both = np.concatenate([first, second], axis=1)
    farthest = abs(statistic.of(second) - statistic.of(first)) - TOLERANCE
    rng = stream(0, "exchanges")
    as_far = 0
    for draws in batch_sizes(2 * len(group_of)):
        kept = rng.integers(0, 2, size=(draws, int(group_of.max()) + 1))[:, group_of].astype(float)
        one = statistic.compute(both, np.concatenate([kept, 1 - kept], axis=1))
        other = statistic.compute(both, np.concatenate([1 - kept, kept], axis=1))
        as_far += int((abs(other - one) >= farthest).sum())
    # The given rows are one of the draws, so that p is never 0.
    return (1 + as_far) / (1 + RESAMPLES)


def _ranks(column: Float[ndarray, " example"], weights: Weights) -> Float[ndarray, "draw example"]:
    """Of each example the weight of those below it, and half that of those equal to it."""
    values, place = np.unique(column, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(values)))
    equal = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(equal, axis=1) - equal
    ranks: Float[ndarray, "draw example"] = (below + equal / 2)[:, place]
    return ranks


def _correlation(
    x: Float[ndarray, "any example"], y: Float[ndarray, "any example"], weights: Weights
) -> Float[ndarray, " draw"]:
    """The weighted correlation; `x` and `y` have a row for each draw, or one row for all."""
    share = weights / weights.sum(axis=1, keepdims=True)
    x = x - (share * x).sum(axis=1, keepdims=True)
    y = y - (share * y).sum(axis=1, keepdims=True)
    spread = np.sqrt((share * x * x).sum(axis=1) * (share * y * y).sum(axis=1))
    together = (share * x * y).sum(axis=1)
    found: Float[ndarray, " draw"] = np.divide(
        together, spread, out=np.zeros_like(together), where=spread > TOLERANCE * TOLERANCE
    )
    return found
