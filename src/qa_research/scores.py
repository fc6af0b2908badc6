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

# The variance of a constant column of the size of 1 is not quite 0.
ROUNDING = 1e-12

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
    # Sums over examples are products of matrices: all draws at once, without a table of draws and examples.
    x, y = (_standardised(column) for column in columns)
    shares = weights / weights.sum(axis=1, keepdims=True)
    moments = shares @ np.array([x, y, x * x, y * y, x * y]).T
    mean_x, mean_y, xx, yy, xy = moments.T
    return _correlation(xy - mean_x * mean_y, xx - mean_x**2, yy - mean_y**2)


def spearman(columns: Columns, weights: Weights) -> Float[ndarray, " draw"]:
    """The correlation of the ranks, equal values sharing the mean of theirs; 0 where a column is constant."""
    # By example first, so that the draws of one example lie side by side.
    shares = np.ascontiguousarray((weights / weights.sum(axis=1, keepdims=True)).T)
    x, y = (_ranks(column, shares) for column in columns)
    weighted = shares * x
    spread_x = np.einsum("ed,ed->d", weighted, x)
    spread_y = np.einsum("ed,ed,ed->d", shares, y, y)
    return _correlation(np.einsum("ed,ed->d", weighted, y), spread_x, spread_y)


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
    drawn = [_least_and_most(statistic, columns, *weights) for weights in _drawn(group_of)]
    lows, highs = zip(*drawn, strict=True)
    return _tails(np.concatenate(lows), np.concatenate(highs))


def _ends_of_difference(
    statistic: Statistic, first: Columns, second: Columns, group_of: Int[ndarray, " example"]
) -> tuple[float, float]:
    """The same of a difference, which is least if the added example pulls the second run down."""
    lows, highs = [], []
    for weights in _drawn(group_of):
        one_low, one_high = _least_and_most(statistic, first, *weights)
        other_low, other_high = _least_and_most(statistic, second, *weights)
        lows.append(other_low - one_high)
        highs.append(other_high - one_low)
    return _tails(np.concatenate(lows), np.concatenate(highs))


def _drawn(group_of: Int[ndarray, " example"]) -> Iterator[tuple[Weights, Weights]]:
    """Weights of all resamples, a batch at a time: of the examples, and of one that is added."""
    rng = stream(0, "intervals")
    groups = int(group_of.max()) + 1
    size = len(group_of) / groups
    for draws in batch_sizes(len(group_of)):
        weights = rng.standard_exponential((draws, groups))[:, group_of]
        yield weights, size * rng.standard_exponential((draws, 1))


def _least_and_most(
    statistic: Statistic, columns: Columns, weights: Weights, extra: Weights
) -> tuple[Float[ndarray, " draw"], Float[ndarray, " draw"]]:
    """The number with one more example of the weights `extra`, the least and the most possible one.

    Where nothing bounds the number, none is added, and both are the same.
    """
    if statistic.least is None or statistic.most is None:
        found = statistic.compute(columns, weights)
        return found, found
    weights = np.concatenate([weights, extra], axis=1)
    low, high = (
        statistic.compute(np.concatenate([columns, np.array(added)[:, None]], axis=1), weights)
        for added in (statistic.least, statistic.most)
    )
    return low, high


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


def _standardised(column: Float[ndarray, " example"]) -> Float[ndarray, " example"]:
    """With the mean 0 and the variance 1, or 0 where it is constant."""
    centred = column - column.mean()
    deviation = float(np.sqrt(np.square(centred).mean()))
    found: Float[ndarray, " example"] = centred / deviation if deviation > 0 else centred
    return found


def _ranks(
    column: Float[ndarray, " example"], shares: Float[ndarray, "example draw"]
) -> Float[ndarray, "example draw"]:
    """Of each example the share of those below it, and half that of those equal to it, less the mean of that.

    The mean is always a half: of any two shares each is below the other, or half of both are equal.
    """
    values, place = np.unique(column, return_inverse=True)
    equal = shares[np.argsort(place, kind="stable")]
    if len(values) < len(column):
        starts = np.searchsorted(np.sort(place), np.arange(len(values)))
        equal = np.add.reduceat(equal, starts, axis=0)
    ranks = np.cumsum(equal, axis=0)
    ranks -= equal / 2 + 0.5
    found: Float[ndarray, "example draw"] = ranks[place]
    return found


def _correlation(
    together: Float[ndarray, " draw"],
    spread_x: Float[ndarray, " draw"],
    spread_y: Float[ndarray, " draw"],
) -> Float[ndarray, " draw"]:
    """A covariance divided by the root of both variances, of columns whose own variance is 1 at most."""
    spread = np.sqrt(np.maximum(spread_x, 0) * np.maximum(spread_y, 0))
    found: Float[ndarray, " draw"] = np.divide(
        together, spread, out=np.zeros_like(together), where=spread > ROUNDING
    )
    return found
