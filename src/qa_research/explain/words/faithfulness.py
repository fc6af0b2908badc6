"""Whether the words that a method ranks first do carry the answer: curves, compared with random orders.

Source: DeYoung et al. 2020, ERASER, section 4.2 (comprehensiveness, sufficiency, area over the
perturbation curve).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.explain.ranking import other_orders
from qa_research.explain.words.result import (
    Band,
    Curve,
    Curves,
    Faithfulness,
    RandomOrders,
    rounded,
)
from qa_research.streams import stream

N_RANDOM_ORDERS = 20
# Probability of the span for each mask [mask unit].
Probability = Callable[[Bool[ndarray, "mask unit"]], Float[ndarray, " mask"]]


def counts_of(n_units: int) -> Int[ndarray, " count"]:
    """How many units are switched: 0, 1, 2, 3, 5, 8 and so on, each the sum of the two before, and all.

    >>> counts_of(12).tolist()
    [0, 1, 2, 3, 5, 8, 12]
    """
    counts = [0, 1]
    while counts[-1] < n_units:
        counts.append(counts[-1] + counts[-2] if len(counts) > 2 else 2)
    return np.array([*(count for count in counts if count < n_units), n_units])


def faithfulness(
    probability: Probability, rankings: Mapping[str, Float[ndarray, " unit"]], seed: int
) -> tuple[Faithfulness, float]:
    """The curves of each method's values and of random orders, and the span's probability in the full text.

    The orders are by signed value: what supports the span comes first, what opposes it last. The random ones
    are all different; if there are fewer than N_RANDOM_ORDERS, all of them.

    Raises:
        ValueError: no method, or no units.
    """
    if not rankings or not len(next(iter(rankings.values()))):
        raise ValueError("there is nothing to rank: no method, or no word that can be switched off")
    n_units = len(next(iter(rankings.values())))
    counts = counts_of(n_units)
    orders = [np.argsort(-values, kind="stable") for values in rankings.values()]
    random = other_orders(n_units, N_RANDOM_ORDERS, stream(seed, "random_order"))
    lost = _probability_lost(probability, np.array([*orders, *random]), counts)
    n = len(rankings)
    removed, only = lost.first_off, lost.first_on
    # Large is faithful for comprehensiveness, small for sufficiency: the sign makes both "large".
    methods = {
        name: Curves(
            comprehensiveness=_judged(removed[i], removed[n:], sign=1),
            sufficiency=_judged(only[i], only[n:], sign=-1),
        )
        for i, name in enumerate(rankings)
    }
    found = Faithfulness(
        counts=tuple(counts.tolist()),
        orders=len(random),
        methods=methods,
        random=RandomOrders(comprehensiveness=_band(removed[n:]), sufficiency=_band(only[n:])),
    )
    return found, lost.full


@dataclass(frozen=True)
class _Lost:
    """Probability lost with the first words off, or with only them on, of `full`, the full text's."""

    first_off: Float[ndarray, "order count"]
    first_on: Float[ndarray, "order count"]
    full: float


def _probability_lost(
    probability: Probability, orders: Int[ndarray, "order unit"], counts: Int[ndarray, " count"]
) -> _Lost:
    """The curves of all orders, from one call.

    Three words, of which the ranking puts word 2 first, then 0, then 1: the order is [2, 0, 1], so the
    words' ranks are [1, 2, 0]. At count 1 "rank < 1" holds for word 2: the masks are [on, on, off]
    for `first_off` and [off, off, on] for `first_on`. If the span has a probability of 0.9 in the full
    text, and 0.3 and 0.8 for these masks, the curves are 0.6 and 0.1 at that count.
    """
    ranks = np.argsort(orders, axis=1)
    first = ranks[:, None, :] < counts[None, :, None]
    wanted = np.concatenate([~first, first]).reshape(-1, orders.shape[1])
    # Orders share their ends and often their first words: each mask is evaluated once.
    masks, back = np.unique(wanted, axis=0, return_inverse=True)
    found = probability(masks)[back.reshape(-1)].reshape(2, len(orders), len(counts))
    full = float(found[0, 0, 0])
    return _Lost(full - found[0], full - found[1], full)


def _judged(
    curve: Float[ndarray, " count"], random: Float[ndarray, "order count"], sign: int
) -> Curve:
    area = float(_area(curve))
    beats = float((sign * _area(random) < sign * area).mean())
    return Curve(_rounded(curve), rounded(area), rounded(beats))


def _band(curves: Float[ndarray, "order count"]) -> Band:
    areas = _area(curves)
    return Band(
        mean=_rounded(curves.mean(axis=0)),
        low=_rounded(curves.min(axis=0)),
        high=_rounded(curves.max(axis=0)),
        area=(rounded(areas.mean()), rounded(areas.min()), rounded(areas.max())),
    )


def _area(curve: Float[ndarray, "*order count"]) -> Float[ndarray, "*order"]:
    """The mean over the counts between none and all, where every ranking gives the same.

    The counts grow, so the first words weigh most: of 12 words the mean is over 1, 2, 3, 5 and 8.
    A text of one word has nothing between none and all; its area is the curve's end.
    """
    inner = curve[..., 1:-1] if curve.shape[-1] > 2 else curve[..., 1:]
    return np.asarray(inner.mean(axis=-1))


def _rounded(curve: Float[ndarray, " count"]) -> tuple[float, ...]:
    return tuple(rounded(value) for value in curve)
