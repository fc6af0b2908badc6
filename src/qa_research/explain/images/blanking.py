"""What if the top segments were not there? Blanking them, the fewest that change the class, and the curves.

Every result has a control: random sets of as much area for blanking, random orders for the curves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.explain.surrogate import Predict

PredictClasses = Callable[[Bool[ndarray, "mask segment"]], Float[ndarray, "mask label"]]
# A random set's area may differ by this share from the area it is to have.
AREA_TOLERANCE = 0.1
MOST_DRAWS = 200
MOST_STEPS = 20


@dataclass(frozen=True)
class Control:
    """Random sets of segments with about as much area, blanked, and what that did to the explained class.

    `areas`: share of the picture; `probabilities` of the explained class and `winners` without each set.
    `p_value`: the share of sets, the chosen one included, that lower the class at least as far; it cannot
    fall below 1 / (number of random sets + 1).
    """

    sets: tuple[tuple[int, ...], ...]
    areas: Float[ndarray, " set"]
    probabilities: Float[ndarray, " set"]
    winners: tuple[str, ...]
    p_value: float


@dataclass(frozen=True)
class Flip:
    """The smallest set of segments found whose blanking changes the winning class.

    `segments` is None if no set was found. `proven_smallest`: every smaller set was tried. `tried`: how many
    sets were predicted.
    """

    segments: tuple[int, ...] | None
    proven_smallest: bool
    tried: int


@dataclass(frozen=True)
class Curve:
    """Probability of the class by the share of the picture's area that was switched, from 0 to 1.

    `area` under it, in [0, 1]. `random_areas`: the same for random orders; `random_mean`, `random_low`,
    `random_high`: mean and range of those orders at the shares `grid`. `beaten`: the share of random orders
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

    @property
    def most(self) -> float:
        """The largest probability in the curve and its band."""
        return float(max(self.probability.max(), self.random_high.max()))


def blanked(segments: Sequence[int], n_segments: int) -> Bool[ndarray, " segment"]:
    """The mask with these segments off."""
    mask = np.ones(n_segments, dtype=bool)
    mask[list(segments)] = False
    return mask


def control_by_area(
    predict: PredictClasses,
    segments: Sequence[int],
    areas: Int[ndarray, " segment"],
    labels: Sequence[str],
    label: int,
    probability: float,
    n_sets: int,
    generator: np.random.Generator,
) -> Control:
    """Blank `n_sets` random sets with the area of `segments`, within a tenth if whole segments allow.

    The sets are drawn from all segments and may share some with the chosen set, but are never equal to it.
    `probability`: of the class `label` without `segments`.
    """
    # A large blank changes the class whatever it covers. So with segments 4, 3, 6 and 7 (27 % of the area)
    # blanked, every random set also covers 24 % to 29 %. If none of 20 such sets lowers the class as far,
    # p = (1 + 0) / (1 + 20) = 0.048.
    wanted = int(areas[list(segments)].sum())
    chosen = tuple(sorted(int(i) for i in segments))
    sets = tuple(_random_set(areas, wanted, chosen, generator) for _ in range(n_sets))
    outputs = predict(np.stack([blanked(one, len(areas)) for one in sets]))
    as_low = int((outputs[:, label] <= probability).sum())
    return Control(
        sets=sets,
        areas=np.array([areas[list(one)].sum() / areas.sum() for one in sets]),
        probabilities=outputs[:, label].astype(np.float64),
        winners=tuple(labels[i] for i in outputs.argmax(axis=1)),
        p_value=(1 + as_low) / (1 + n_sets),
    )


def _random_set(
    areas: Int[ndarray, " segment"],
    wanted: int,
    excluded: tuple[int, ...],
    generator: np.random.Generator,
) -> tuple[int, ...]:
    """A set other than `excluded` within a tenth of the wanted area, or the nearest of many draws."""
    best: tuple[int, ...] = ()
    least = float("inf")
    for _ in range(MOST_DRAWS):
        # The first few segments of a random order: of areas 30 10 20 40 and 35 wanted, the running sums are
        # 30 40 60 100, of which 30 is the nearest.
        order = generator.permutation(len(areas))
        covered = np.cumsum(areas[order])
        n = 1 + int(np.abs(covered - wanted).argmin())
        found = tuple(sorted(int(i) for i in order[:n]))
        difference = abs(int(covered[n - 1]) - wanted)
        if found != excluded and difference < least:
            best, least = found, difference
        if least <= AREA_TOLERANCE * wanted:
            break
    return best


def smallest_flip(
    predict: PredictClasses, order: Sequence[int], winner: int, max_predictions: int
) -> Flip:
    """Look for the fewest segments whose blanking makes another class win.

    First blank along the ranking until the class changes, and restore what is not needed. Then try all
    smaller sets, by size and along the ranking, while `max_predictions` allow. The first phase is completed
    whatever `max_predictions` says. What is found is the smallest set of all if it is proven, otherwise the
    smallest of those tried.
    """
    n = len(order)
    best, tried = _flip_along_ranking(predict, order, winner)
    for size in range(1, n if best is None else len(best)):
        allowed = max_predictions - tried
        candidates = list(islice(combinations(order, size), max(allowed, 0)))
        if candidates:
            outputs = predict(np.stack([blanked(one, n) for one in candidates]))
            tried += len(candidates)
            found = np.flatnonzero(outputs.argmax(axis=1) != winner)
            if len(found):
                # Of several sets of one size, the one that leaves the winner the least.
                least = found[outputs[found, winner].argmin()]
                return Flip(tuple(candidates[least]), True, tried)
        if len(candidates) < comb(n, size):
            return Flip(best, False, tried)
    return Flip(best, best is not None, tried)


def _flip_along_ranking(
    predict: PredictClasses, order: Sequence[int], winner: int
) -> tuple[tuple[int, ...] | None, int]:
    """A set that changes the class and of which no single segment can be spared; how many were predicted."""
    n = len(order)
    winners = predict(np.stack([blanked(order[: i + 1], n) for i in range(n)])).argmax(axis=1)
    changed = np.flatnonzero(winners != winner)
    if not len(changed):
        return None, n
    best = list(order[: changed[0] + 1])
    tried = n
    for segment in reversed(best[:-1]):
        rest = [other for other in best if other != segment]
        tried += 1
        if rest and predict(blanked(rest, n)[None]).argmax() != winner:
            best = rest
    return tuple(best), tried


def switching_curve(
    predict: Predict,
    order: Int[ndarray, " segment"],
    areas: Int[ndarray, " segment"],
    n_orders: int,
    generator: np.random.Generator,
    *,
    deleting: bool,
) -> Curve:
    """Switch segments off in the given order (deletion), or on (insertion); compare with random orders.

    A random order with an equal area does not count as beaten.

    Source: Petsiuk, Das, Saenko 2018, RISE, section 4.3; the comparison with random orders is ours.
    """
    # Areas 10 20 30 40, order 1 0 3 2: after 0 to 4 steps 0, 20, 30, 70 and 100 of 100 are switched, so the
    # shares are 0 .2 .3 .7 1. The area under the probabilities is their integral over these shares, not
    # over the steps: otherwise a ranking would win by putting large segments first.
    orders = [order, *(generator.permutation(len(order)) for _ in range(n_orders))]
    # A segment's rank is its place in the order; after n steps those of a rank below n are switched.
    ranks = np.argsort(orders, axis=1)
    switched = ranks[:, None, :] < steps_of(len(order))[None, :, None]
    masks = ~switched if deleting else switched
    outputs = predict(masks.reshape(-1, len(order))).reshape(len(orders), -1)
    shares = switched @ areas / areas.sum()
    under = np.array([np.trapezoid(y, x) for x, y in zip(shares, outputs, strict=True)])
    grid = np.linspace(0, 1, 51)
    random = np.array([np.interp(grid, x, y) for x, y in zip(shares[1:], outputs[1:], strict=True)])
    beaten = under[1:] > under[0] if deleting else under[1:] < under[0]
    return Curve(
        share=shares[0],
        probability=outputs[0],
        area=float(under[0]),
        random_areas=under[1:],
        grid=grid,
        random_mean=random.mean(axis=0),
        random_low=random.min(axis=0),
        random_high=random.max(axis=0),
        beaten=float(beaten.mean()),
    )


def steps_of(n_segments: int) -> Int[ndarray, " step"]:
    """How many segments are switched after each step, from 0 to all; at most 20 steps."""
    return np.unique(
        np.linspace(0, n_segments, min(n_segments, MOST_STEPS) + 1).round().astype(int)
    )
