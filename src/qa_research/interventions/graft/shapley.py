"""Shapley values: how much of a difference between two networks each part of them accounts for. Pure.

A state is the set of the parts, by number, that are the second network's; `frozenset()` is the first one.
"""

from collections.abc import Sequence
from itertools import chain, combinations
from math import factorial

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from qa_research.streams import stream

# Of more players there are too many states to look at each: 2^8 are 256.
MOST_EXACT = 8
State = frozenset[int]


def all_states(players: int) -> list[State]:
    """Every set of players."""
    sizes = range(players + 1)
    return [
        frozenset(s) for s in chain.from_iterable(combinations(range(players), n) for n in sizes)
    ]


def exact_weights(players: int, states: Sequence[State]) -> Float[ndarray, "player state"]:
    """By what each state's value is multiplied in each player's Shapley value; `states` are all there are.

    A player's Shapley value is the mean, over all orders in which they may join, of what its joining changes.

    Source: Shapley 1953, A Value for n-Person Games.
    """
    # Two players with v() = 30, v(a) = 50, v(b) = 40, v(ab) = 100. In the order a, b: a adds 50 - 30 = 20,
    # and b adds 100 - 50 = 50. In the order b, a: b adds 10, and a adds 60. So a has (20 + 60) / 2 = 40, and
    # b has (50 + 10) / 2 = 30; together 70, which is v(ab) - v(). The weights of a are -1/2 for v(), 1/2 for
    # v(a), -1/2 for v(b) and 1/2 for v(ab): -15 + 25 - 20 + 50 = 40.
    place = {state: number for number, state in enumerate(states)}
    weights = np.zeros((players, len(states)))
    for state in states:
        for player in set(range(players)) - state:
            # The share of orders in which exactly these come before the player: of 3 players and a state of
            # 1, 1! * 1! / 3! = 1/6.
            before, after = len(state), players - len(state) - 1
            share = factorial(before) * factorial(after) / factorial(players)
            weights[player, place[state | {player}]] += share
            weights[player, place[state]] -= share
    return weights


def drawn_orders(players: int, count: int, seed: int) -> list[tuple[int, ...]]:
    """Random orders; each second one is the reverse of the one before. `count`: an even number.

    Whoever was early in one is late in the other, so that their mean varies less than that of two others.
    """
    assert count % 2 == 0, "an order has its reverse"
    found: list[tuple[int, ...]] = []
    for pair in range(count // 2):
        drawn = stream(seed, "graft-orders", pair).permutation(players)
        order = tuple(int(player) for player in drawn)
        found += [order, order[::-1]]
    return found


def states_of(order: Sequence[int]) -> list[State]:
    """The states that an order goes through: players + 1, from nobody to all."""
    return [frozenset(order[:length]) for length in range(len(order) + 1)]


def order_weights(order: Sequence[int], states: Sequence[State]) -> Float[ndarray, "player state"]:
    """As `exact_weights`, of this order alone: what each player's joining changes in it.

    Example: the order b, a of the example above: a has v(ab) - v(b) = 60, and b has v(b) - v() = 10. Whatever
    the order, they add up to v(ab) - v().
    """
    place = {state: number for number, state in enumerate(states)}
    weights = np.zeros((len(order), len(states)))
    path = states_of(order)
    for player, before, after in zip(order, path[:-1], path[1:], strict=True):
        weights[player, place[after]] += 1
        weights[player, place[before]] -= 1
    return weights
