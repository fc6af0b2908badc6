from itertools import product

import numpy as np
import pytest

from qa_research.explain.ranking import (
    StableTop,
    chance_jaccard,
    chance_of_agreement,
    intervals,
    needed_z,
    ranked,
    ranks_sentence,
    repeats_needed,
    stable_top,
)


def around(coefficients, spread, n, seed=0):
    coefficients = np.asarray(coefficients, dtype=float)
    noise = np.random.default_rng(seed).normal(0, 1, (n, len(coefficients)))
    return coefficients + spread * noise


def found(coefficients, spread=0.01, repeats=5):
    """Of repeats that scatter by `spread`, and of the bootstrap of all of them together."""
    rows = around(coefficients, spread, repeats)
    pooled = rows.mean(axis=0)
    return stable_top(rows, pooled, around(pooled, spread / repeats**0.5, 400, 1), 0.95)


def sentence(one):
    return ranks_sentence(one, "seeds", "segments")


def test_equal_coefficients_rank_by_number():
    assert list(ranked(np.array([0.1, 0.3, 0.1, -0.2]))) == [1, 0, 2, 3]


def test_intervals_contain_the_middle_of_the_draws():
    draws = np.arange(101.0)[:, None].repeat(2, axis=1)
    low, high = intervals(draws, 0.9)
    assert low == pytest.approx([5, 5]) and high == pytest.approx([95, 95])


def test_the_largest_top_on_which_all_agree_is_named_and_what_is_tied_below_it():
    one = found([0.1, 0.5, 0.099, 0.4, 0.101, 0.0, -0.001, 0.001], repeats=5)
    # 1 and 3 are clear; 0, 2 and 4 are known only together, and what does nothing supports nothing.
    assert one.sizes == (1, 2, 5) and one.k == 5
    assert sentence(one) == (
        "The top 5 are stable: all 5 seeds name them; ranks 3 to 5 and 6 to 8 are tied."
    )


def test_ranks_below_a_stable_top_are_tied():
    one = found([0.5, 0.4, 0.02, 0.015, 0.01, 0.005, -0.2], spread=0.02)
    assert one.sizes == (1, 2)
    assert set(one.tied) >= {2, 3, 4} and not {0, 1, 6} & set(one.tied)
    assert sentence(one).startswith("The top 2 are stable: all 5 seeds name them; ranks 3 to ")


def test_a_tie_reaches_to_the_last_rank_that_may_be_as_high():
    pooled, spread = np.array([1.0, 0.5, 0.45, 0.4, 0.0]), [0.001, 0.001, 0.001, 0.2, 0.001]
    one = stable_top(pooled[None].repeat(5, 0), pooled, around(pooled, spread, 200), 0.95)
    # Rank 3 is clearly below rank 2, and rank 4 may be as high as either.
    assert (one.k, one.tied, one.tied_ranks) == (1, (1, 2, 3), [(2, 4)])


def test_noise_has_no_stable_top_and_is_said_to_have_none():
    one = found([0.0] * 12, spread=1.0)
    assert one.k == 0 and one.sizes == ()
    assert sentence(one).startswith("The 5 seeds do not agree on the top segments; ranks 1 to ")


def test_that_all_agree_on_the_worst_makes_no_top():
    one = found([0.001, 0.0, -0.001, 0.002, 0.0005, -0.5])
    assert one.k == 0


def test_one_repeat_that_disagrees_is_enough():
    rows = around([0.5, 0.3, 0.1, 0.0], 0.001, 5)
    draws = around([0.5, 0.3, 0.1, 0.0], 0.001, 200, 1)
    assert stable_top(rows, rows.mean(axis=0), draws, 0.95).k == 3
    rows[4, [0, 1]] = rows[4, [1, 0]]
    assert stable_top(rows, rows.mean(axis=0), draws, 0.95).sizes == (2, 3)


def test_coefficients_that_differ_by_rounding_alone_are_tied_whatever_their_numbers():
    rows = np.array([[0.3, 0.3, 0.3, 0.1]] * 5) + 1e-9 * np.arange(4)
    one = stable_top(rows, rows[0], np.repeat(rows[:1], 50, axis=0), 0.95)
    assert one.sizes == (3,)
    assert sentence(one) == "The top 3 are stable: all 5 seeds name them; ranks 1 to 3 are tied."


def test_of_all_masks_the_order_is_exact():
    coefficients = np.array([0.1, 0.4, 0.1, -0.2])
    one = stable_top(coefficients[None], coefficients, None, 0.95)
    assert (one.repeats, one.chance, one.sizes) == (1, 0.0, (1, 3))
    assert sentence(one) == (
        "All possible masks were predicted, so the order of the segments is exact; ranks 2 to 3 are tied."
    )
    distinct = np.array([0.1, 0.4])
    exact = stable_top(distinct[None], distinct, None, 0.95)
    assert sentence(exact).endswith("the order of the segments is exact.")


def test_one_item_is_no_ranking():
    one = stable_top(np.ones((3, 1)), np.ones(1), np.ones((9, 1)), 0.95)
    assert (one.k, one.tied, one.chance) == (0, (), 1.0)


@pytest.mark.parametrize(("items", "repeats"), [(3, 2), (4, 2), (4, 3)])
def test_the_chance_that_random_rankings_agree_bounds_what_counting_gives(items, repeats):
    from itertools import permutations

    orders = list(permutations(range(items)))
    agree = 0
    for others in product(orders, repeat=repeats - 1):
        agree += any(all(set(one[:k]) == set(range(k)) for one in others) for k in range(1, items))
    counted = agree / len(orders) ** (repeats - 1)
    assert counted <= chance_of_agreement(items, repeats) <= 1.5 * counted


def test_repeats_are_as_many_as_the_level_needs():
    assert chance_of_agreement(12, 2) == pytest.approx(0.2137, abs=1e-4)
    assert repeats_needed(12, 0.05) == 3 and repeats_needed(3, 0.05) == 5
    assert repeats_needed(100, 0.05) == 2


def test_the_error_is_shared_among_looks_and_sizes():
    assert needed_z(0.95, 1, 2) == pytest.approx(1.96, abs=0.001)
    assert needed_z(0.95, 4, 18) == pytest.approx(3.376, abs=0.001)


def test_ranks_of_which_only_the_set_is_known_are_runs():
    assert StableTop(2, (1, 2), (4, 5, 6), 5, 0.0, 9).tied_ranks == [(3, 5)]
    assert StableTop(2, (2,), (), 5, 0.0, 9).tied_ranks == [(1, 2)]
    one = StableTop(1, (1,), (), 5, 0.0, 9)
    assert sentence(one) == "The top 1 is stable: all 5 seeds name it."


def test_chance_is_the_mean_over_all_pairs_of_sets():
    from itertools import combinations

    sets = list(combinations(range(6), 3))
    wanted = np.mean([len({*a} & {*b}) / len({*a} | {*b}) for a in sets for b in sets])
    assert chance_jaccard(3, 6) == pytest.approx(wanted)
    assert chance_jaccard(4, 4) == 1
