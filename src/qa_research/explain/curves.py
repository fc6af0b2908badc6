"""Deletion and insertion: what becomes of the class while segments go, or come, one after the other.

Source: Petsiuk, Das, Saenko 2018, RISE, section 4.3; the control by random orders is ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

MOST_STEPS = 20
Predict = Callable[[Bool[ndarray, "mask segment"]], Float[ndarray, " mask"]]


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
    predict: Predict,
    order: Int[ndarray, " segment"],
    areas: Int[ndarray, " segment"],
    n_orders: int,
    generator: np.random.Generator,
) -> Curve:
    """All segments are on at first, and go in the given order; ties count as not beaten."""
    return _curve(predict, order, areas, n_orders, generator, starts_on=True)


def insertion(
    predict: Predict,
    order: Int[ndarray, " segment"],
    areas: Int[ndarray, " segment"],
    n_orders: int,
    generator: np.random.Generator,
) -> Curve:
    """All segments are off at first, and come in the given order; ties count as not beaten."""
    return _curve(predict, order, areas, n_orders, generator, starts_on=False)


def _curve(
    predict: Predict,
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
