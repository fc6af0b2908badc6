"""What if the top segments were not there? They are blanked, with as much area at random as a control.

Deletion and insertion: what becomes of the class while segments go, or come, one after the other.

Source: Petsiuk, Das, Saenko 2018, RISE, section 4.3; the control by random orders is ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.explain.images.sampling import Sampled

# Of the area that random segments are to have.
AREA_TOLERANCE = 0.1
MOST_DRAWS = 200
Predict = Callable[[Bool[ndarray, "mask segment"]], Float[ndarray, "mask label"]]


@dataclass(frozen=True)
class Control:
    """Random segments of about as much area, blanked, and what they did to the class that is explained.

    `shares`: of the picture's area. `p_value`: of the random sets and the chosen one, the share that lowers
    the class at least as much; it cannot fall below 1 / (number of sets + 1).
    """

    sets: tuple[tuple[int, ...], ...]
    shares: Float[ndarray, " set"]
    probabilities: Float[ndarray, " set"]
    winners: Int[ndarray, " set"]
    p_value: float


@dataclass(frozen=True)
class Flip:
    """The smallest set of segments found whose blanking changes the class that wins.

    `segments` is None where no set was found. `proven`: every smaller set was tried. `tried`: sets predicted.
    """

    segments: tuple[int, ...] | None
    proven: bool
    tried: int


@dataclass(frozen=True)
class Counterfactual:
    """The picture without some segments: predicted again, and explained again with its own predictions.

    `explained` is the class whose top segments they are, `winner` the one that won at first and `label` the
    one that wins now. `second` explains the latter by the segments that are left, `left` (their numbers, in
    the order of its columns); it is None where fewer than two are left.
    """

    segments: tuple[int, ...]
    share: float
    probabilities: Float[ndarray, " label"]
    explained: int
    winner: int
    label: int
    second: Sampled | None
    left: Int[ndarray, " left"]
    control: Control
    flip: Flip | None


def blanked(segments: Sequence[int], n_segments: int) -> Bool[ndarray, " segment"]:
    """The mask with these segments off."""
    mask = np.ones(n_segments, dtype=bool)
    mask[list(segments)] = False
    return mask


def control_by_area(
    predict: Predict,
    segments: Sequence[int],
    areas: Int[ndarray, " segment"],
    label: int,
    probability: float,
    n_sets: int,
    generator: np.random.Generator,
) -> Control:
    """Blank `n_sets` random sets with the area of `segments`, within a tenth where whole segments allow.

    They are drawn from all segments and may share some with the chosen set, but are not that set itself.
    `probability`: of `label` without `segments`.
    """
    wanted = int(areas[list(segments)].sum())
    itself = tuple(sorted(int(i) for i in segments))
    sets = tuple(_random_set(areas, wanted, itself, generator) for _ in range(n_sets))
    outputs = predict(np.stack([blanked(one, len(areas)) for one in sets]))
    as_low = int((outputs[:, label] <= probability).sum())
    return Control(
        sets=sets,
        shares=np.array([areas[list(one)].sum() / areas.sum() for one in sets]),
        probabilities=outputs[:, label],
        winners=outputs.argmax(axis=1),
        p_value=(1 + as_low) / (1 + n_sets),
    )


def smallest_flip(
    predict: Predict, order: Sequence[int], winner: int, max_predictions: int
) -> Flip:
    """Look for the fewest segments whose blanking makes another class win.

    First down the ranking until the class changes; what is not needed of that set is taken back. Then all
    smaller sets, by size and along the ranking, as long as `max_predictions` allow. What is found is the
    smallest set there is where `proven`, otherwise the smallest of those tried. The way down the ranking
    is gone whatever `max_predictions` says.
    """
    n = len(order)
    along = predict(np.stack([blanked(order[: i + 1], n) for i in range(n)])).argmax(axis=1)
    tried = n
    changed = np.flatnonzero(along != winner)
    best: list[int] | None = None
    if len(changed):
        best = list(order[: changed[0] + 1])
        for segment in reversed(best[:-1]):
            rest = [other for other in best if other != segment]
            tried += 1
            if rest and predict(blanked(rest, n)[None]).argmax() != winner:
                best = rest
    for size in range(1, n if best is None else len(best)):
        allowed = max_predictions - tried
        candidates = list(islice(combinations(order, size), max(allowed, 0)))
        if candidates:
            outputs = predict(np.stack([blanked(one, n) for one in candidates]))
            tried += len(candidates)
            found = np.flatnonzero(outputs.argmax(axis=1) != winner)
            if len(found):
                # The one after which the first class is least likely, of equally many.
                least = found[outputs[found, winner].argmin()]
                return Flip(_numbers(candidates[least]), True, tried)
        if len(candidates) < comb(n, size):
            return Flip(None if best is None else _numbers(best), False, tried)
    return Flip(None if best is None else _numbers(best), best is not None, tried)


def _numbers(segments: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(i) for i in segments)


def _random_set(
    areas: Int[ndarray, " segment"],
    wanted: int,
    excluded: tuple[int, ...],
    generator: np.random.Generator,
) -> tuple[int, ...]:
    """Another set within a tenth of the area, or the nearest of many: segments come whole."""
    best: tuple[int, ...] = ()
    least = float("inf")
    for _ in range(MOST_DRAWS):
        order = generator.permutation(len(areas))
        covered = np.cumsum(areas[order])
        n = 1 + int(np.abs(covered - wanted).argmin())
        found = tuple(sorted(int(i) for i in order[:n]))
        if found != excluded and (off := abs(int(covered[n - 1]) - wanted)) < least:
            best, least = found, off
        if least <= AREA_TOLERANCE * wanted:
            break
    return best


MOST_STEPS = 20
PredictOne = Callable[[Bool[ndarray, "mask segment"]], Float[ndarray, " mask"]]


@dataclass(frozen=True)
class Curve:
    """Probability of the class by the share of the picture's area that was switched, from 0 to 1.

    `area` under it, in [0, 1]. `random_areas`: the same for random orders; `random_mean`, `random_low`,
    `random_high` are those orders' mean and range at the shares `grid`. `beaten`: the share of random orders
    that the ranking beats; a lower area is better for deletion, a higher one for insertion.
    """

    share: Float[ndarray, " step"]
    probability: Float[ndarray, " step"]
    area: float
    random_areas: Float[ndarray, " order"]
    grid: Float[ndarray, " point"]
    random_mean: Float[ndarray, " point"]
    random_low: Float[ndarray, " point"]
    random_high: Float[ndarray, " point"]
    beaten: float


def deletion(
    predict: PredictOne,
    order: Int[ndarray, " segment"],
    areas: Int[ndarray, " segment"],
    n_orders: int,
    generator: np.random.Generator,
) -> Curve:
    """All segments are on at first, and go in the given order; ties count as not beaten."""
    return _curve(predict, order, areas, n_orders, generator, starts_on=True)


def insertion(
    predict: PredictOne,
    order: Int[ndarray, " segment"],
    areas: Int[ndarray, " segment"],
    n_orders: int,
    generator: np.random.Generator,
) -> Curve:
    """All segments are off at first, and come in the given order; ties count as not beaten."""
    return _curve(predict, order, areas, n_orders, generator, starts_on=False)


def _curve(
    predict: PredictOne,
    order: Int[ndarray, " segment"],
    areas: Int[ndarray, " segment"],
    n_orders: int,
    generator: np.random.Generator,
    *,
    starts_on: bool,
) -> Curve:
    orders = [order, *(generator.permutation(len(order)) for _ in range(n_orders))]
    states = [_states(one, starts_on) for one in orders]
    outputs = predict(np.concatenate(states)).reshape(len(orders), -1)
    switched = [np.logical_xor(state, starts_on) for state in states]
    shares = [switch @ areas / areas.sum() for switch in switched]
    surfaces = np.array([np.trapezoid(y, x) for x, y in zip(shares, outputs, strict=True)])
    grid = np.linspace(0, 1, 51)
    random = np.array([np.interp(grid, x, y) for x, y in zip(shares[1:], outputs[1:], strict=True)])
    better = surfaces[1:] > surfaces[0] if starts_on else surfaces[1:] < surfaces[0]
    return Curve(
        share=shares[0],
        probability=outputs[0],
        area=float(surfaces[0]),
        random_areas=surfaces[1:],
        grid=grid,
        random_mean=random.mean(axis=0),
        random_low=random.min(axis=0),
        random_high=random.max(axis=0),
        beaten=float(better.mean()),
    )


def steps_of(n_segments: int) -> Int[ndarray, " step"]:
    """How many segments are switched after each step, from 0 to all; at most 20 steps."""
    return np.unique(
        np.linspace(0, n_segments, min(n_segments, MOST_STEPS) + 1).round().astype(int)
    )


def _states(order: Int[ndarray, " segment"], starts_on: bool) -> Bool[ndarray, "step segment"]:
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    switched = rank[None, :] < steps_of(len(order))[:, None]
    return ~switched if starts_on else switched
