"""Shapley values: the worked example, what must hold of any game, and of a whole difference."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.interventions.graft.shapley import (
    all_states,
    drawn_orders,
    exact_weights,
    order_weights,
    states_of,
)
from qa_research.interventions.graft.sharing import _over_orders, shared
from qa_research.streams import stream

EXACT_MATCH = {"name": "val/em", "label": "EM", "per_example": "em", "scale": 100.0}
PEARSON = {"name": "val/r", "label": "r", "statistic": "pearson", "of": ["a", "b"], "scale": 1.0}


def values_of(states, seed=0):
    rng = stream(seed, "test game")
    return rng.normal(size=len(states))


def test_the_worked_example():
    states = all_states(2)
    assert states == [frozenset(), {0}, {1}, {0, 1}]
    values = np.array([30.0, 50, 40, 100])
    assert (exact_weights(2, states) @ values).tolist() == [40, 30]
    assert exact_weights(2, states)[0].tolist() == [-0.5, 0.5, -0.5, 0.5]
    assert (order_weights((1, 0), states) @ values).tolist() == [60, 10]
    assert states_of((1, 0)) == [frozenset(), {1}, {0, 1}]


@given(st.integers(1, 5), st.integers(0, 20))
def test_they_are_the_mean_over_all_orders_and_add_up(players, seed):
    states = all_states(players)
    values = values_of(states, seed)
    found = exact_weights(players, states) @ values
    orders = list(permutations(range(players)))
    over_orders = np.mean([order_weights(order, states) @ values for order in orders], axis=0)
    np.testing.assert_allclose(found, over_orders, atol=1e-12)
    assert found.sum() == pytest.approx(values[states.index(frozenset(range(players)))] - values[0])


def test_who_changes_nothing_has_nothing_and_who_adds_alone_has_what_is_added():
    states = all_states(4)
    alone = np.array([3.0, 0.0, -2.0, 5.0])
    values = np.array([sum(alone[list(state)]) for state in states])
    np.testing.assert_allclose(exact_weights(4, states) @ values, alone, atol=1e-12)


def test_orders_come_in_pairs_and_each_adds_up():
    orders = drawn_orders(14, 6, seed=3)
    assert (
        len(orders) == 6 and orders[0][::-1] == orders[1] and orders[:4] == drawn_orders(14, 4, 3)
    )
    assert sorted(orders[2]) == list(range(14)) and drawn_orders(14, 6, seed=4) != orders
    states = [*{state for order in orders for state in states_of(order)}]
    values = values_of(states)
    difference = values[states.index(frozenset(range(14)))] - values[states.index(frozenset())]
    for order in orders:
        assert (order_weights(order, states) @ values).sum() == pytest.approx(difference)


@pytest.mark.parametrize("metric", [EXACT_MATCH, PEARSON], ids=["mean", "statistic"])
@pytest.mark.parametrize("orders", [None, drawn_orders(4, 6, 1)], ids=["exact", "drawn"])
def test_shares_add_up_to_the_whole_difference_and_lie_in_their_intervals(metric, orders):
    rng = stream(0, "test shares")
    groups, truth = np.repeat(np.arange(20), 2), rng.normal(size=40)

    def columns(state):
        share = 0.15 + 0.2 * len(state)
        if metric is EXACT_MATCH:
            return {"em": (rng.random(40) < share).astype(float)}
        return {"a": share * truth + 0.3 * rng.normal(size=40), "b": truth}

    known = {"all": {state: columns(state) for state in all_states(4)}}
    found = shared(list("abcd"), known, {"all": groups}, metric, orders)
    shares = found.shares["all"]
    assert sum(share.value for share in shares) == pytest.approx(found.total["all"])
    assert all(share.low <= share.value <= share.high for share in shares)
    assert found.states == 16 and found.orders == (None if orders is None else 6)
    assert found == shared(list("abcd"), known, {"all": groups}, metric, orders)


def test_one_part_that_answers_is_given_all_of_it():
    """Examples of a group vary together, so grouping makes the interval wider."""
    right = np.repeat(stream(1, "test").random(30) < 0.5, 3).astype(float)
    known = {
        "all": {state: {"em": right if 0 in state else np.zeros(90)} for state in all_states(3)}
    }
    alone, together = (
        shared(list("abc"), known, {"all": groups}, EXACT_MATCH, None).shares["all"]
        for groups in (None, np.repeat(np.arange(30), 3))
    )
    assert alone[0].value == pytest.approx(100 * right.mean())
    assert alone[1].value == pytest.approx(0, abs=1e-9)
    assert together[0].high - together[0].low > 1.4 * (alone[0].high - alone[0].low)


def games(players, rng):
    """A value for each state: of parts that need each other, and of parts that add up but for some chance."""
    weights = rng.exponential(size=players)
    states = all_states(players)
    sums = np.array([weights[list(state)].sum() for state in states]) / weights.sum()
    yield 100 / (1 + np.exp(-6 * (sums - 0.5)))
    yield 100 * sums + rng.normal(0, 10, len(states))


@pytest.mark.parametrize("count", [10, 20])
def test_intervals_over_drawn_orders_hold_the_value_over_all_orders(count):
    """Of examples that are all alike, so that nothing but the orders makes the intervals."""
    players, held = 8, []
    states = all_states(players)
    exact = exact_weights(players, states)
    for seed in range(60):
        orders = drawn_orders(players, count, seed)
        for values in games(players, stream(seed, "test coverage")):
            drawn = _over_orders(np.tile(values, (401, 1)), states, orders)
            low, high = np.percentile(drawn[1:], [2.5, 97.5], axis=0)
            true = exact @ values
            held.append((low <= true) & (true <= high))
    assert 0.91 < np.mean(held) < 0.97
