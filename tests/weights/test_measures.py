"""Ranks and redundancy: the worked examples, what they may be, and planted structure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.streams import stream
from qa_research.weights.measures import (
    by_chance,
    effective_rank,
    participation_ratio,
    redundancy,
    singular_values,
    spread_of,
)


def normal(rows, columns, seed=0):
    return stream(seed, "test").standard_normal((rows, columns))


def test_the_worked_examples():
    two, uneven = np.array([4.0, 4.0, 0.0]), np.array([3.0, 1.0])
    assert effective_rank(two) == pytest.approx(2)
    assert effective_rank(uneven) == pytest.approx(1.755, abs=1e-3)
    assert participation_ratio(two) == pytest.approx(2)
    assert participation_ratio(uneven) == pytest.approx(100 / 82)
    assert redundancy(np.array([[1.0, 2, 0], [0, 0, 1]])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("shape", [(7, 7), (40, 6), (6, 40), (3000, 5)])
def test_singular_values_are_those_of_an_independent_routine(shape):
    matrix = normal(*shape)
    expected = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(singular_values(matrix), expected, rtol=1e-9)


def test_directions_that_are_not_there_do_not_count():
    matrix = normal(50, 3) @ normal(3, 30, seed=1)
    values = singular_values(matrix)
    assert (values > 0).sum() == 3
    assert effective_rank(values) <= 3 and participation_ratio(values) <= 3


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 50))
def test_each_lies_between_one_and_the_rank_whatever_the_scale(rows, columns, seed):
    spread = spread_of(normal(rows, columns, seed))
    most = min(rows, columns) + 1e-6
    # What the largest decide is never more than what all do.
    assert 1 - 1e-6 <= spread.participation <= spread.effective_rank + 1e-6 <= most + 1e-6
    assert 0 <= spread.redundancy <= 1
    scaled = spread_of(1e-3 * normal(rows, columns, seed))
    assert scaled.effective_rank == pytest.approx(spread.effective_rank)
    assert scaled.redundancy == pytest.approx(spread.redundancy)


def test_nothing_has_no_direction():
    spread = spread_of(np.zeros((4, 3)))
    assert (spread.effective_rank, spread.participation) == (0, 0) and np.isnan(spread.redundancy)
    assert np.isnan(redundancy(np.array([[1.0, 0], [1, 0]])))


def test_a_planted_copy_of_a_column_is_seen():
    matrix = normal(64, 32)
    before = redundancy(matrix)
    matrix[:, 1] = -2 * matrix[:, 0]
    assert redundancy(matrix) > before + 1.5 * (1 - before) / 32


def test_chance_is_the_same_each_time_and_that_of_a_random_matrix():
    def draw(rng):
        return spread_of(rng.standard_normal((60, 20)))

    chance = by_chance(draw, 60, 20)
    assert chance == by_chance(draw, 60, 20) != by_chance(draw, 20, 60)
    mine = spread_of(normal(60, 20, seed=9))
    assert mine.participation == pytest.approx(chance.participation, rel=0.1)
    # The squared singular values of a random [n, m] have a ratio of about n m / (n + m + 1).
    assert chance.participation == pytest.approx(60 * 20 / 81, rel=0.05)
