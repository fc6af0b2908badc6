"""Whether one run answers better than another on the same questions, and how sure that is. Pure.

What is compared are two trainings as they ended; how much another seed would differ is not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qa_research.stats import bootstrap_intervals, holm, mcnemar, sign_flips
from qa_research.tasks.answering.score import QuestionScore

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more the second scored, in points of percent, with its 95 % interval.

    `p` is two-sided: how often chance alone makes so large a difference between equals. `p_holm`
    is the same after Holm's correction for the number of comparisons made together.
    """

    points: float
    low: float
    high: float
    p: float
    p_holm: float

    def __str__(self) -> str:
        return f"{self.points:+.1f} points [{self.low:+.1f}, {self.high:+.1f}]"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A second run beside a first on the same `total` questions.

    `p` of `exact_match` is McNemar's, that of `f1` from flipped signs; intervals are bootstrapped.
    """

    total: int
    exact_match: Difference
    f1: Difference
    only_first: int
    only_second: int


def compare(
    first: Sequence[QuestionScore], others: Sequence[Sequence[QuestionScore]]
) -> list[Comparison]:
    """Each of `others` beside `first`, in order, corrected for their number.

    Raises:
        ValueError: no questions, or not the same ones in the same order.
    """
    found = [_compare_two(first, other) for other in others]
    exact = holm([comparison.exact_match.p for comparison in found])
    f1 = holm([comparison.f1.p for comparison in found])
    return [
        replace(
            comparison,
            exact_match=replace(comparison.exact_match, p_holm=p_exact),
            f1=replace(comparison.f1, p_holm=p_f1),
        )
        for comparison, p_exact, p_f1 in zip(found, exact, f1, strict=True)
    ]


def verdict(comparison: Comparison, first: str, second: str) -> str:
    """A sentence: which of the two is better by how much and how sure, or that nobody can tell."""
    exact, f1 = comparison.exact_match, comparison.f1
    named = {"exact match": exact, "F1": f1}
    better = {
        name: second if difference.points > 0 else first
        for name, difference in named.items()
        if difference.p_holm < LEVEL
    }
    on = f"on these {comparison.total:,} questions"
    if not any(x for d in named.values() for x in (d.points, d.low, d.high)):
        return f"{first} and {second} score equally {on}."
    if not better:
        judged = f"{first} and {second} cannot be told apart {on}"
    elif len(set(better.values())) == 2:
        judged = f"{better['exact match']} is better in exact match, {better['F1']} in F1, {on}"
    else:
        judged = f"{next(iter(better.values()))} is better in {' and '.join(better)} {on}"
        for unsure in named.keys() - better.keys():
            judged += f"; in {unsure} they cannot be told apart"
    return (
        f"{judged}. {second} against {first}: exact match {exact} (McNemar {_p(exact)}; right alone: "
        f"{second} {comparison.only_second:,}, {first} {comparison.only_first:,}), F1 {f1} ({_p(f1)})."
    )


def _compare_two(first: Sequence[QuestionScore], second: Sequence[QuestionScore]) -> Comparison:
    if not first or [score.id for score in first] != [score.id for score in second]:
        raise ValueError("only scores of the same questions in the same order can be compared")
    differences = np.array(
        [
            [b.exact_match - a.exact_match for a, b in zip(first, second, strict=True)],
            [b.f1 - a.f1 for a, b in zip(first, second, strict=True)],
        ],
        dtype=np.float64,
    )
    intervals = bootstrap_intervals(differences)
    only_first, only_second = (int((differences[0] * sign > 0.5).sum()) for sign in (-1, 1))
    p_values = (mcnemar(only_first, only_second), sign_flips(differences[1]))
    exact, f1 = (
        Difference(100 * float(row.mean()), 100 * float(low), 100 * float(high), value, value)
        for row, (low, high), value in zip(differences, intervals, p_values, strict=True)
    )
    return Comparison(len(first), exact, f1, only_first, only_second)


def _p(difference: Difference) -> str:
    def text(p: float) -> str:
        return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"

    if difference.p == difference.p_holm:
        return text(difference.p)
    return f"{text(difference.p)}, after Holm {text(difference.p_holm)}"
