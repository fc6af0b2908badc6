"""How much area the tops of two explanations of one picture share, beside chance and ceiling. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from qa_research.explain.images.result import Explanation
from qa_research.explain.images.segments import areas_of
from qa_research.streams import stream

# Pairs of random sets that chance is the mean of: its standard error is about 0.002.
DRAWS = 10_000


@dataclass(frozen=True)
class SharedArea:
    """Pixels in both tops as a share of the pixels in either, in [0, 1].

    `chance`: the expectation for as many random segments of each explanation. `ceiling`: the most that any
    set of as many segments of one shares with the top of the other; 1 where both have the same segments,
    less where a border of one runs through a segment of the other.
    """

    jaccard: float
    chance: float
    ceiling: float


def shared_area(one: Explanation, other: Explanation, k: int) -> SharedArea:
    """Compare the `k` top segments of two explanations of the same picture.

    Raises:
        ValueError: the pictures or the sizes that the classifiers see differ, or one does not have more than
            `k` segments.
    """
    if reason := why_not_shared(one, other, k):
        raise ValueError(reason)
    both = _common_pixels(one.arrays.segments, other.arrays.segments)
    ours, theirs = one.order[:k], other.order[:k]
    return SharedArea(
        jaccard=float(_jaccard(both, ours, theirs)),
        chance=_by_chance(both, k),
        ceiling=max(_most(both, ours), _most(both.T, theirs)),
    )


def why_not_shared(one: Explanation, other: Explanation, k: int) -> str | None:
    """Why tops of `k` segments cannot be compared; None if they can."""
    if one.picture.sha256 != other.picture.sha256 or one.picture.seen != other.picture.seen:
        return (
            f"{one.picture.name} and {other.picture.name} are not the same picture at the same size: no area "
            "can be shared"
        )
    fewest = min(one.n_segments, other.n_segments)
    if not 1 <= k < fewest:
        return (
            f"a top of {k} cannot be compared: one explanation has {fewest} segments; name 1 to "
            f"{fewest - 1}"
        )
    return None


def _common_pixels(
    one: Int[ndarray, "height width"], other: Int[ndarray, "height width"]
) -> Int[ndarray, "one other"]:
    """How many pixels each segment of one map shares with each of the other."""
    shape = len(areas_of(one)), len(areas_of(other))
    pairs = np.ravel_multi_index((one.ravel(), other.ravel()), shape)
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


def _jaccard(both: Int[ndarray, "one other"], ours: Sequence[int], theirs: Sequence[int]) -> float:
    rows, columns = both[list(ours)], both[:, list(theirs)]
    shared = rows[:, list(theirs)].sum()
    return float(shared / (rows.sum() + columns.sum() - shared))


def _by_chance(both: Int[ndarray, "one other"], k: int) -> float:
    """The mean over random pairs of sets, from a fixed seed."""
    generator = stream(0, "shared area")
    ours, theirs = (_random_sets(n, k, generator) for n in both.shape)
    shared = np.einsum("di,ij,dj->d", ours, both, theirs, optimize=True)
    either = ours @ both.sum(axis=1) + theirs @ both.sum(axis=0) - shared
    return float((shared / either).mean())


def _random_sets(n: int, k: int, generator: np.random.Generator) -> Float[ndarray, "draw segment"]:
    ranks = generator.random((DRAWS, n)).argsort(axis=1).argsort(axis=1)
    return (ranks < k).astype(np.float64)


def _most(both: Int[ndarray, "one other"], ours: Sequence[int]) -> float:
    """The highest Jaccard index that as many of the other's segments can have with `ours`.

    Source: Dinkelbach 1967, On Nonlinear Fractional Programming.
    """
    # Shared s of the chosen areas a, beside our own area A: s / (A + a - s) is largest for the k segments
    # with the largest s - x (a - s), where x is that largest value. Starting at x = 0 it rises until it
    # stays.
    shared, areas, own = both[list(ours)].sum(axis=0), both.sum(axis=0), both[list(ours)].sum()
    value = -1.0
    found = 0.0
    while found > value:
        value = found
        gains = shared - value * (areas - shared)
        best = np.argsort(-gains, kind="stable")[: len(ours)]
        found = float(shared[best].sum() / (own + (areas - shared)[best].sum()))
    return value
