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

from qa_research.explain.ranking import other_orders, p_of_beaten
from qa_research.explain.surrogate import Predict, all_masks

PredictClasses = Callable[[Bool[ndarray, "mask segment"]], Float[ndarray, "mask label"]]
# A random set's area may differ by this share from the area it is to have.
AREA_TOLERANCE = 0.1
# Draws for each set or order that is wanted, before it is taken for granted that there are no more.
MOST_DRAWS = 200
# All sets of so few segments are looked at; of more, random ones.
FEW_SEGMENTS = 14
MOST_STEPS = 20


@dataclass(frozen=True)
class Control:
    """Other sets of segments with about as much area, blanked, and what that did to the explained class.

    No set is there twice; there are none if no other has as much area. `areas`: share of the picture;
    `probabilities` of the explained class and `winners` without each set. `p_value`: the share of sets, the
    chosen one included, that lower the class at least as far; it cannot fall below 1 / (number of other
    sets + 1). None without other sets, and for a set that was searched for by its effect. `complete`: these
    are all other sets of as much area.
    """

    sets: tuple[tuple[int, ...], ...]
    areas: Float[ndarray, " set"]
    probabilities: Float[ndarray, " set"]
    winners: tuple[str, ...]
    p_value: float | None
    complete: bool = False

    def as_low(self, probability: float) -> int:
        """How many sets leave the class at most this probability."""
        return int((self.probabilities <= probability).sum())


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

    `area` under it, in [0, 1]. `random_areas`: the same for random orders, all different; `random_mean`,
    `random_low`, `random_high`: mean and range of those orders at the shares `grid`. `beaten`: the share of
    random orders that the ranking beats; a lower area is better for deletion, a higher one for insertion.
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

    @property
    def n_orders(self) -> int:
        """How many random orders there are."""
        return len(self.random_areas)

    @property
    def n_beaten(self) -> int:
        """How many of them the ranking beats."""
        return round(self.beaten * self.n_orders)

    @property
    def p_value(self) -> float:
        """The share of orders, the ranking included, that are at least as good as the ranking."""
        return p_of_beaten(self.n_beaten, self.n_orders)

    @property
    def least_p_value(self) -> float:
        """The p value of a ranking that beats all of them."""
        return p_of_beaten(self.n_orders, self.n_orders)


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
    *,
    searched: bool,
) -> Control:
    """Blank `n_sets` other sets with the area of `segments`, within a tenth; all of them if there are fewer.

    They may share segments with the chosen set. `probability`: of the class `label` without `segments`.
    `searched`: `segments` were found by trying sets, so that they are extreme by construction.
    """
    # A large blank changes the class whatever it covers. So with segments 4, 3, 6 and 7 (27 % of the area)
    # blanked, every other set also covers 24 % to 29 %. If none of 20 such sets lowers the class as far, p
    # = (1 + 0) / (1 + 20) = 0.048. Of 8 equal segments and a top of 1 there are 7 others: p is 1/8 at
    # least.
    sets, complete = _sets_of_area(areas, segments, n_sets, generator)
    if not sets:
        nothing = np.empty(0)
        return Control((), nothing, nothing, (), None, complete)
    outputs = predict(np.stack([blanked(one, len(areas)) for one in sets]))
    as_low = int((outputs[:, label] <= probability).sum())
    return Control(
        sets=sets,
        areas=np.array([areas[list(one)].sum() / areas.sum() for one in sets]),
        probabilities=outputs[:, label].astype(np.float64),
        winners=tuple(labels[i] for i in outputs.argmax(axis=1)),
        p_value=None if searched else (1 + as_low) / (1 + len(sets)),
        complete=complete,
    )


def _sets_of_area(
    areas: Int[ndarray, " segment"],
    chosen: Sequence[int],
    n_sets: int,
    generator: np.random.Generator,
) -> tuple[tuple[tuple[int, ...], ...], bool]:
    """Different sets other than `chosen` within a tenth of its area, and whether these are all there are."""
    n, wanted = len(areas), int(areas[list(chosen)].sum())
    own = tuple(sorted(int(i) for i in chosen))
    if n > FEW_SEGMENTS:
        found = _random_sets(areas, wanted, own, n_sets, generator)
        return found, False
    masks = all_masks(n)
    near = np.abs(masks @ areas - wanted) <= AREA_TOLERANCE * wanted
    # At least one segment stays visible.
    usable = np.flatnonzero(near & masks.any(axis=1) & ~masks.all(axis=1))
    sets = [tuple(int(i) for i in np.flatnonzero(masks[row])) for row in usable]
    others = [one for one in sets if one != own]
    if len(others) <= n_sets:
        return tuple(others), True
    drawn = generator.choice(len(others), n_sets, replace=False)
    return tuple(others[i] for i in drawn), False


def _random_sets(
    areas: Int[ndarray, " segment"],
    wanted: int,
    excluded: tuple[int, ...],
    n_sets: int,
    generator: np.random.Generator,
) -> tuple[tuple[int, ...], ...]:
    """Up to `n_sets` different sets within a tenth of the wanted area; fewer if many draws find no others."""
    found: dict[tuple[int, ...], None] = {}
    for _ in range(MOST_DRAWS * n_sets):
        # The first few segments of a random order: of areas 30 10 20 40 and 35 wanted, the running sums are
        # 30 40 60 100, of which 30 is the nearest.
        order = generator.permutation(len(areas))
        covered = np.cumsum(areas[order])
        n = 1 + int(np.abs(covered - wanted).argmin())
        one = tuple(sorted(int(i) for i in order[:n]))
        if one != excluded and abs(int(covered[n - 1]) - wanted) <= AREA_TOLERANCE * wanted:
            found[one] = None
        if len(found) == n_sets:
            break
    return tuple(found)


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

    These are `n_orders` different ones, none of them the given one; all others if there are fewer. One with
    an equal area does not count as beaten.

    Source: Petsiuk, Das, Saenko 2018, RISE, section 4.3; the comparison with random orders is ours.
    """
    # Areas 10 20 30 40, order 1 0 3 2: after 0 to 4 steps 0, 20, 30, 70 and 100 of 100 are switched, so the
    # shares are 0 .2 .3 .7 1. The area under the probabilities is their integral over these shares, not
    # over the steps: otherwise a ranking would win by putting large segments first.
    orders = np.array(
        [order, *other_orders(len(order), n_orders, generator, tuple(int(i) for i in order))]
    )
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
