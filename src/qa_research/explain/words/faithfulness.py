"""Whether the words that a method ranks first do carry the answer: curves against random orders.

Source: DeYoung et al. 2020, ERASER, section 4.2 (comprehensiveness, sufficiency, area over the
perturbation curve).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.streams import stream

RANDOM_ORDERS = 20
# Probability of the span for each mask [mask unit].
Probability = Callable[[Bool[ndarray, "mask unit"]], Float[ndarray, " mask"]]


@dataclass(frozen=True)
class Curves:
    """Of several orders of the units, most important first, by how many of them (`Faithfulness.counts`).

    `comprehensiveness`: how much of the span's probability is lost with the first k off (large is
    faithful). `sufficiency`: how much is lost with all but the first k off (small is faithful).
    """

    comprehensiveness: Float[ndarray, "order count"]
    sufficiency: Float[ndarray, "order count"]


@dataclass(frozen=True)
class Measured:
    """One method's curves, their areas, and which share of random orders is less faithful by area."""

    comprehensiveness: Float[ndarray, " count"]
    sufficiency: Float[ndarray, " count"]
    comprehensiveness_area: float
    sufficiency_area: float
    comprehensiveness_beats: float
    sufficiency_beats: float


@dataclass(frozen=True)
class Faithfulness:
    """The curves of all methods beside those of RANDOM_ORDERS random orders.

    An area is the mean of a curve over `counts` without 0 and all units: the first words weigh most, for
    the counts grow (1, 2, 3, 5, 8 ...). `probability`: of the span in the whole text.
    """

    counts: Int[ndarray, " count"]
    probability: float
    methods: Mapping[str, Measured]
    random: Curves

    def area(self, curve: Float[ndarray, "*order count"]) -> Float[ndarray, "*order"]:
        """The mean over the counts between none and all."""
        return _area(curve)


def counts_of(n_units: int) -> Int[ndarray, " count"]:
    """How many units are switched: 0, 1, 2, 3, 5, 8 and so on, each the sum of the two before, and all."""
    counts = [0, 1]
    while counts[-1] < n_units:
        counts.append(counts[-1] + counts[-2] if len(counts) > 2 else 2)
    return np.array([*(count for count in counts if count < n_units), n_units])


def faithfulness(
    probability: Probability, rankings: Mapping[str, Float[ndarray, " unit"]], seed: int
) -> Faithfulness:
    """The curves of each method's values, largest first, and of random orders drawn by `seed`.

    The orders are by signed value: what supports the span comes first, what opposes it last.

    Raises:
        ValueError: no method, or no units.
    """
    if not rankings or not len(next(iter(rankings.values()))):
        raise ValueError("there is nothing to rank: no method, or no word that can be switched off")
    n_units = len(next(iter(rankings.values())))
    counts = counts_of(n_units)
    orders = [np.argsort(-values, kind="stable") for values in rankings.values()]
    orders += [stream(seed, "random_order", i).permutation(n_units) for i in range(RANDOM_ORDERS)]
    curves, whole = _curves(probability, np.stack(orders), counts)
    n = len(rankings)
    random = Curves(curves.comprehensiveness[n:], curves.sufficiency[n:])
    methods = {}
    for i, name in enumerate(rankings):
        removed, kept = curves.comprehensiveness[i], curves.sufficiency[i]
        areas = float(_area(removed)), float(_area(kept))
        methods[name] = Measured(
            comprehensiveness=removed,
            sufficiency=kept,
            comprehensiveness_area=areas[0],
            sufficiency_area=areas[1],
            comprehensiveness_beats=float((_area(random.comprehensiveness) < areas[0]).mean()),
            sufficiency_beats=float((_area(random.sufficiency) > areas[1]).mean()),
        )
    return Faithfulness(counts, whole, methods, random)


def _curves(
    probability: Probability, orders: Int[ndarray, "order unit"], counts: Int[ndarray, " count"]
) -> tuple[Curves, float]:
    """All masks in one go: [order count unit], where the unit's place in the order decides."""
    places = np.argsort(orders, axis=1)
    first = places[:, None, :] < counts[None, :, None]
    n_units = orders.shape[1]
    asked = np.concatenate([~first, first]).reshape(-1, n_units)
    # Orders share their ends and often their first words: each mask is asked once.
    masks, back = np.unique(asked, axis=0, return_inverse=True)
    said = probability(masks)[back.reshape(-1)].reshape(2, len(orders), len(counts))
    whole = float(said[0, 0, 0])
    return Curves(whole - said[0], whole - said[1]), whole


def _area(curve: Float[ndarray, "*order count"]) -> Float[ndarray, "*order"]:
    inner = curve[..., 1:-1] if curve.shape[-1] > 2 else curve[..., 1:]
    return np.asarray(inner.mean(axis=-1))
