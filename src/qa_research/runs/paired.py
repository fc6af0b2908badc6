"""Whether one run is better than another on the same examples, and how sure that is. Pure.

Examples are resampled, not trainings: how much another seed would differ is not part of the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.stats import bootstrap_intervals, holm, mcnemar, sign_flips
from qa_research.tasks.task import Metric

SIGNIFICANT = 0.05
# The scale of metrics in percent, whose differences are shown as points.
PERCENT = 100.0


@dataclass(frozen=True)
class Shares:
    """What each validation example contributed to each metric: `values` by the metric's `per_example`."""

    ids: list[str]
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more the second run scored, in the metric's own unit, with its 95 % interval.

    `p` is two-sided: how often two equally good runs differ at least this much by chance. `p_holm` is
    corrected, by Holm's method, for the number of comparisons made together.
    """

    points: float
    low: float
    high: float
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A second run compared with a first on the same `total` examples.

    `differences` are in the order of `metrics`. Intervals come from the bootstrap. `p` of the first metric
    is McNemar's if every example is either correct or not: `only_first` and `only_second` count those
    that only one run got right, and are None otherwise. Every other `p` comes from sign flips.
    """

    total: int
    metrics: list[Metric]
    differences: list[Difference]
    only_first: int | None
    only_second: int | None

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON, each difference under its metric's name."""
        by_name = {
            metric["per_example"]: asdict(difference)
            for metric, difference in zip(self.metrics, self.differences, strict=True)
        }
        counts = {"only_first": self.only_first, "only_second": self.only_second}
        return {"total": self.total} | by_name | counts


def compare(first: Shares, others: Sequence[Shares], metrics: list[Metric]) -> list[Comparison]:
    """Each of `others` compared with `first`, in order, corrected for their number.

    Raises:
        ValueError: no examples, or not the same ones in the same order.
    """
    comparisons = [_compare_two(first, other, metrics) for other in others]
    # Holm, for each metric on its own, as the correction is for the number of runs and not of metrics.
    # Example: p of 0.01, 0.04 and 0.03 for three runs. The smallest is multiplied by 3, the next by 2, the
    # largest by 1, and none may be below the one before: 0.03, then 0.06, then max(0.04, 0.06) = 0.06.
    corrected = [
        holm([comparison.differences[place].p for comparison in comparisons])
        for place in range(len(metrics))
    ]
    return [
        replace(
            comparison,
            differences=[
                replace(difference, p_holm=corrected[place][number])
                for place, difference in enumerate(comparison.differences)
            ],
        )
        for number, comparison in enumerate(comparisons)
    ]


def verdict(comparison: Comparison, first: str, second: str, examples: str) -> str:
    """A sentence: which of the two is better, by how much and how sure, or that they cannot be distinguished.

    `examples`: what they are called, such as `questions`.
    """
    better = {}
    for metric, difference in zip(comparison.metrics, comparison.differences, strict=True):
        if difference.p_holm < SIGNIFICANT:
            second_wins = (difference.points > 0) == (metric["better"] == "higher")
            better[metric["label"]] = second if second_wins else first
    on = f"on these {comparison.total:,} {examples}"
    if not any(x for d in comparison.differences for x in (d.points, d.low, d.high)):
        return f"{first} and {second} score equally {on}."
    if not better:
        judged = f"{first} and {second} cannot be distinguished {on}"
    elif len(set(better.values())) == 2:
        each = ", ".join(f"{winner} in {label}" for label, winner in better.items())
        judged = f"{each.replace(' in ', ' is better in ', 1)}, {on}"
    else:
        judged = f"{next(iter(better.values()))} is better in {' and '.join(better)} {on}"
        for metric in comparison.metrics:
            if metric["label"] not in better:
                judged += f"; in {metric['label']} they cannot be distinguished"
    details = ", ".join(
        _in_detail(comparison, place, first, second) for place in range(len(comparison.metrics))
    )
    return f"{judged}. {second} against {first}: {details}."


def _compare_two(first: Shares, second: Shares, metrics: list[Metric]) -> Comparison:
    if not first.ids or first.ids != second.ids:
        raise ValueError("only scores of the same examples in the same order can be compared")
    pairs = [(first.values[m["per_example"]], second.values[m["per_example"]]) for m in metrics]
    # What is resampled (bootstrap) and flipped (p) are differences of the same example, [metric, example].
    # Example: exact match of 4 questions, first 1 0 0 1 and second 1 1 1 0, differ by 0 1 1 -1. A resample
    # may be 1 1 0 1; a flip, in which the runs are taken to be equally good, 0 -1 1 1.
    differences = np.array([b - a for a, b in pairs])
    intervals = bootstrap_intervals(differences)
    only_first = only_second = None
    if np.isin(pairs[0], (0.0, 1.0)).all():
        # Right or wrong: in the example above 2 only by the second run, 1 only by the first.
        only_first, only_second = int((differences[0] < 0).sum()), int((differences[0] > 0).sum())
        p_values = [mcnemar(only_first, only_second)]
    else:
        p_values = [sign_flips(differences[0])]
    p_values += [sign_flips(row) for row in differences[1:]]
    found = []
    for metric, row, (low, high), p in zip(metrics, differences, intervals, p_values, strict=True):
        scale = metric["scale"]
        points = scale * float(row.mean())
        found.append(Difference(points, scale * float(low), scale * float(high), p, p_holm=p))
    return Comparison(len(first.ids), metrics, found, only_first, only_second)


def _in_detail(comparison: Comparison, place: int, first: str, second: str) -> str:
    metric, difference = comparison.metrics[place], comparison.differences[place]
    in_percent = metric["scale"] == PERCENT
    low, points, high = (
        f"{value:+.1f}" if in_percent else f"{value:+.4g}"
        for value in (difference.low, difference.points, difference.high)
    )
    moved = f"{metric['label']} {points}{' points' if in_percent else ''} [{low}, {high}]"
    p = _p_value(difference)
    if place == 0 and comparison.only_first is not None:
        counts = f"{second} {comparison.only_second:,}, {first} {comparison.only_first:,}"
        return f"{moved} (McNemar {p}; only one correct: {counts})"
    return f"{moved} ({p})"


def _p_value(difference: Difference) -> str:
    def text(p: float) -> str:
        return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"

    if difference.p == difference.p_holm:
        return text(difference.p)
    return f"{text(difference.p)}, after Holm {text(difference.p_holm)}"
