"""How alike two rankings of words are. Pure."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import rankdata


def top_units(values: Float[ndarray, " unit"], k: int) -> list[int]:
    """The `k` units of the largest values, largest first; of equal ones the first."""
    return [int(unit) for unit in np.argsort(-values, kind="stable")[:k]]


def top_overlap(one: Float[ndarray, " unit"], other: Float[ndarray, " unit"], k: int) -> float:
    """Jaccard index of both top `k`: those in both, as a share of those in either."""
    a, b = set(top_units(one, k)), set(top_units(other, k))
    return len(a & b) / len(a | b)


def rank_correlation(one: Float[ndarray, " unit"], other: Float[ndarray, " unit"]) -> float:
    """Spearman's correlation of the values; NaN where one side has all values equal."""
    a, b = rankdata(one), rankdata(other)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else float("nan")


def mean_overlap(rankings: Sequence[Float[ndarray, " unit"]], k: int) -> float:
    """`top_overlap`, the mean over all pairs."""
    return float(np.mean([top_overlap(a, b, k) for a, b in combinations(rankings, 2)]))


def mean_correlation(rankings: Sequence[Float[ndarray, " unit"]]) -> float:
    """`rank_correlation`, the mean over all pairs."""
    return float(np.mean([rank_correlation(a, b) for a, b in combinations(rankings, 2)]))
