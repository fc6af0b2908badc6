import numpy as np
import pytest

from qa_research.explain.images.trust import separation


def draws_around(coefficients, spread, n=400):
    generator = np.random.default_rng(0)
    return coefficients + generator.normal(0, spread, (n, len(coefficients)))


def test_ranks_far_from_each_other_are_separate_and_tied_with_nothing():
    coefficients = np.array([0.5, 0.1, 0.4, 0.0])
    found = separation(coefficients, draws_around(coefficients, 0.01), 2, 0.95, 1)
    assert found.separate
    assert found.tied == (2,)
    assert found.z == pytest.approx(0.3 / (0.01 * np.sqrt(2)), rel=0.1)
    assert found.needed == pytest.approx(2.39, abs=0.01)


def test_ties_are_named_best_first_on_both_sides_of_the_line():
    coefficients = np.array([0.101, 0.5, 0.1, 0.099, -0.3])
    found = separation(coefficients, draws_around(coefficients, 0.01), 3, 0.95, 1)
    assert not found.separate
    assert found.tied == (0, 2, 3)


def test_more_looks_need_more_evidence():
    coefficients = np.array([0.13, 0.1])
    draws = draws_around(coefficients, 0.0095)
    assert separation(coefficients, draws, 1, 0.95, 1).separate
    assert not separation(coefficients, draws, 1, 0.95, 4).separate


def test_of_two_equal_segments_a_look_declares_one_better_about_as_often_as_allowed():
    generator = np.random.default_rng(7)
    wrong = 0
    for _ in range(400):
        found = generator.normal(0, 1, 2)
        draws = found + generator.normal(0, 1, (100, 2))
        wrong += separation(found, draws, 1, 0.95, 1).separate
    assert 6 <= wrong <= 40


def test_without_chance_every_difference_counts_but_rounding_does_not():
    different = separation(np.array([0.2, 0.2 - 1e-5, 0]), None, 1, 0.95, 1)
    assert different.separate and different.z is None
    equal = separation(np.array([0.2, 0.2 - 1e-8, 0]), None, 1, 0.95, 1)
    assert not equal.separate and equal.tied == (0, 1)


def test_a_top_of_all_segments_is_separate():
    found = separation(np.array([0.2, 0.1]), None, 4, 0.95, 1)
    assert found.separate and found.tied == ()
