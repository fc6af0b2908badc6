"""What a task's metrics are of rows of predictions: values with intervals, differences between two runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.scores import (
    STATISTICS,
    PairedDifference,
    statistic_difference,
    statistic_interval,
)
from qa_research.stats import Interval, mean_intervals, sign_flips
from qa_research.tasks.task import PARAGRAPH, PERCENT, Metric, keys_of

# All examples, beside those of each kind.
ALL = "all"
# By a metric's key what each example has of it.
Columns = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Score:
    """A metric of some examples, in the metric's unit, with its 95 % interval; `total`: examples.

    `wider`: see `stats.Interval`.
    """

    value: float
    low: float
    high: float
    total: int
    wider: float | None = None


def columns_of(rows: Sequence[Mapping[str, Any]], metrics: Sequence[Metric]) -> Columns:
    """What the metrics are computed from, by key."""
    names = dict.fromkeys(key for metric in metrics for key in keys_of(metric))
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in names}


def groups_of(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.int64] | None:
    """Which examples belong together, by number; None: nobody said."""
    if any(PARAGRAPH not in row for row in rows):
        return None
    return np.array([row[PARAGRAPH] for row in rows], dtype=np.int64)


def score_of(rows: Sequence[Mapping[str, Any]], metric: Metric) -> Score:
    """The metric of rows of predictions, with its interval.

    Raises:
        ValueError: no rows.
    """
    columns = columns_of(rows, [metric])
    interval = interval_of(columns, metric, groups_of(rows))
    value = value_of(columns, metric)
    return Score(value, interval.low, interval.high, len(rows), interval.wider)


def value_of(columns: Columns, metric: Metric) -> float:
    """The metric, in its unit."""
    own = _own(columns, metric)
    if "statistic" in metric:
        return STATISTICS[metric["statistic"]].of(own) * metric["scale"]
    return float(own[0].mean()) * metric["scale"]


def weighted_values(
    columns: Columns, metric: Metric, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The metric, in its unit, for each row of weights of the examples [draw example]."""
    own = _own(columns, metric)
    if "statistic" in metric:
        return STATISTICS[metric["statistic"]].compute(own, weights) * metric["scale"]
    means: NDArray[np.float64] = weights @ own[0] / weights.sum(axis=1)
    return means * metric["scale"]


def interval_of(columns: Columns, metric: Metric, groups: NDArray[np.int64] | None) -> Interval:
    """The metric's 95 % interval, in its unit, over other examples of the same kind."""
    own = _own(columns, metric)
    if "statistic" in metric:
        found = statistic_interval(STATISTICS[metric["statistic"]], own, groups)
    else:
        # Metrics in percent are means of values from 0 to 1.
        bounds = (0.0, 1.0) if metric["scale"] == PERCENT else None
        (found,) = mean_intervals(own, bounds, groups)
    return found.scaled(metric["scale"])


def difference_of(
    first: Columns, second: Columns, metric: Metric, groups: NDArray[np.int64] | None
) -> PairedDifference:
    """How much more the second run scored on the same examples, in the metric's unit."""
    scale = metric["scale"]
    one, other = _own(first, metric), _own(second, metric)
    if "statistic" in metric:
        found = statistic_difference(STATISTICS[metric["statistic"]], one, other, groups)
        return PairedDifference(scale * found.value, found.interval.scaled(scale), found.p)
    # Of the same example. Exact match of 4 questions, first 1 0 0 1 and second 1 1 1 0, differs by 0 1 1 -1;
    # a flip, in which the runs are taken to be equally good, is 0 -1 1 1.
    differences = other - one
    bounds = (-1.0, 1.0) if scale == PERCENT else None
    (interval,) = mean_intervals(differences, bounds, groups)
    together = differences[0]
    if groups is not None:
        numbered = np.unique(groups, return_inverse=True)[1]
        together = np.bincount(numbered, weights=together)
    p = sign_flips(together)
    return PairedDifference(scale * float(differences.mean()), interval.scaled(scale), p)


def _own(columns: Columns, metric: Metric) -> NDArray[np.float64]:
    """[key, example]"""
    return np.array([columns[key] for key in keys_of(metric)])


def by_kind(rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[np.int64]]:
    """The places of the examples of each kind, all first; of one kind alone there is only `all`."""
    kinds = np.array([row.get("kind", "") for row in rows])
    names = sorted(set(kinds.tolist()))
    several = {name: np.flatnonzero(kinds == name) for name in names} if len(names) > 1 else {}
    return {ALL: np.arange(len(rows)), **several}
