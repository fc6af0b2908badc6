import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, hypergeom, nbinom, permutation_test, rankdata

from qa_research.stats import (
    Needed,
    Stretch,
    _weighted,
    dependence,
    exact_ratio,
    expected_repeats,
    mcnemar,
    mean_intervals,
    observed_needed,
    questions_needed,
    rank_correlation,
    ratio_intervals,
    share_difference,
    shares_differ,
    sign_flips,
    unbiased_ratio,
)

RATES = (0.01, 0.04, 0.33)


@given(st.integers(1, 2000), st.data())
def test_the_interval_is_that_of_clopper_and_pearson(asked, data):
    """Their limits are quantiles of two beta distributions."""
    right = data.draw(st.integers(0, asked))
    ratio = exact_ratio(right, asked)
    low = beta.ppf(0.025, right, asked - right + 1) if right else 0.0
    high = beta.ppf(0.975, right + 1, asked - right) if right < asked else 1.0
    assert (ratio.low, ratio.high) == pytest.approx((low, high), abs=1e-11)
    assert ratio.low <= ratio.value <= ratio.high


def test_the_interval_of_three_in_ten():
    assert (exact_ratio(3, 10).low, exact_ratio(3, 10).high) == pytest.approx(
        (0.0667395, 0.6524529)
    )


def test_counts_that_are_not_a_ratio_are_refused():
    for right, asked in ((0, 0), (2, 1), (-1, 5)):
        with pytest.raises(ValueError, match="is not a ratio"):
            exact_ratio(right, asked)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("asked", [20, 100, 1000])
def test_the_interval_of_a_number_of_questions_covers(rate, asked):
    """Not by chance: summed over every possible count."""
    counts = np.arange(asked + 1)
    covers = [_covers(exact_ratio(int(k), asked), rate) for k in counts]
    assert binom.pmf(counts, asked, rate)[covers].sum() >= 0.95


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("searches", [1, 2, 5, 20])
def test_the_interval_covers_where_asking_ends_at_right_answers(rate, searches):
    longest = int(nbinom.ppf(1 - 1e-6, searches, rate))
    wrong = np.arange(longest + 1)
    covers = [_covers(exact_ratio(searches, searches + int(w)), rate) for w in wrong]
    assert nbinom.pmf(wrong, searches, rate)[covers].sum() >= 0.95


@pytest.mark.parametrize("rate", RATES)
def test_the_interval_covers_where_asking_ends_when_it_is_narrow(rate):
    """Rounds of 64 until it is 5 points wide: the rule of --until-width, simulated."""
    rng = np.random.default_rng(5)
    n_simulated, size, most = 4000, 64, 30
    right = rng.binomial(size, rate, (n_simulated, most)).cumsum(axis=1)
    known = {}
    covered = 0
    for counts in right:
        for i, k in enumerate(counts):
            key = (int(k), size * (i + 1))
            if key not in known:
                known[key] = exact_ratio(*key)
            if known[key].width <= 0.05:
                break
        else:
            pytest.fail("the interval never became narrow")
        covered += _covers(known[key], rate)
    assert covered / n_simulated >= 0.94


def one_by_one(searches, asked):
    return Stretch(searches, asked, searches, 1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("searches", [2, 3, 10])
def test_the_unbiased_ratio_has_no_bias_with_replacement(rate, searches):
    """Summed over how many questions are wrong; a search's own ratio reads 1 % as 4.7 %."""
    wrong = np.arange(int(nbinom.ppf(1 - 1e-9, searches, rate)) + 1)
    chances = nbinom.pmf(wrong, searches, rate)
    mean = sum(
        chance * (unbiased_ratio(one_by_one(searches, searches + w)) or 0.0)
        for w, chance in zip(wrong.tolist(), chances.tolist(), strict=True)
    )
    assert mean == pytest.approx(rate, abs=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_in_rounds_of_three_with_replacement_it_has_none_and_right_of_asked_has_some(rate):
    """The old lab's records: two searches, summed over rounds and over right answers of the last ones."""
    ends = 1 - (1 - rate) ** 3
    in_round = {k: binom.pmf(k, 3, rate) / ends for k in (1, 2, 3)}
    unbiased = consistent = 0.0
    for wrong in range(int(nbinom.ppf(1 - 1e-9, 2, ends)) + 1):
        for one, other in product(in_round, repeat=2):
            chance = nbinom.pmf(wrong, 2, ends) * in_round[one] * in_round[other]
            unbiased += chance * (unbiased_ratio(Stretch(2, 2 + wrong, one + other, 3)) or 0.0)
            consistent += chance * (one + other) / (3 * (2 + wrong))
    assert unbiased == pytest.approx(rate, abs=1e-6)
    assert consistent > rate * 1.1


def searched(right_places, size, searches, total):
    """What so many searches find in one order: their stretch, or None if the order is used up before."""
    in_round = np.bincount((np.array(right_places) - 1) // size, minlength=total // size)
    ends = np.flatnonzero(in_round)
    if len(ends) < searches:
        return None
    last = int(ends[searches - 1])
    return Stretch(searches, last + 1, int(in_round[: last + 1].sum()), size)


@pytest.mark.parametrize(
    ("total", "size"), [(5, 1), (6, 1), (7, 1), (8, 1), (6, 2), (8, 2), (6, 3), (8, 4)]
)
@pytest.mark.parametrize("right", [1, 2, 3])
@pytest.mark.parametrize(("first", "second"), [(2, 2), (2, 3), (1, 2)])
def test_over_two_orders_the_unbiased_ratio_has_no_bias(total, size, right, first, second):
    """Over every pair of orders of 5 to 8 questions; if one is used up the ratio is known, as it is shown."""
    orders = list(combinations(range(1, total + 1), right))
    values = []
    for one, other in product(orders, repeat=2):
        stretches = searched(one, size, first, total), searched(other, size, second, total)
        known = None in stretches
        values.append(right / total if known else unbiased_ratio(*stretches))
    assert np.mean(values) == pytest.approx(right / total, abs=1e-12)


def test_one_ratio_over_two_orders_together_and_right_of_asked_are_biased():
    orders = list(combinations(range(1, 9), 3))
    pairs = [(one[1], other[2]) for one, other in product(orders, repeat=2)]
    assert np.mean([(5 - 1) / (one + other - 1) for one, other in pairs]) > 3 / 8 + 0.02
    assert np.mean([5 / (one + other) for one, other in pairs]) > 3 / 8 + 0.08


def test_the_unbiased_ratio_by_hand():
    assert unbiased_ratio(one_by_one(3, 12)) == pytest.approx(2 / 11)
    assert unbiased_ratio(Stretch(2, 5, 3, 8)) == pytest.approx(1 / 4 * 3 / 2 / 8)
    both = unbiased_ratio(one_by_one(3, 12), one_by_one(2, 5))
    assert both == pytest.approx((2 * 2 / 11 + 1 / 4) / 3)
    assert unbiased_ratio(one_by_one(3, 12), one_by_one(1, 9)) == pytest.approx(2 / 11)
    assert unbiased_ratio(one_by_one(2, 2)) == 1.0


def test_a_single_search_has_no_unbiased_ratio():
    assert unbiased_ratio() is None and unbiased_ratio(one_by_one(1, 7)) is None
    assert unbiased_ratio(one_by_one(1, 4), one_by_one(1, 9)) is None


@pytest.mark.parametrize("rate", [0.001, *RATES, 0.5, 0.99])
def test_so_many_questions_are_needed_and_one_less_is_too_few(rate):
    wanted = questions_needed(rate, None)
    for number, share in ((wanted.median, 0.5), (wanted.most, 0.95)):
        assert number is not None
        assert 1 - (1 - rate) ** number >= share - 1e-9
        assert number == 1 or 1 - (1 - rate) ** (number - 1) < share


def test_without_right_answers_no_number_is_enough_and_with_all_right_one_is():
    for total in (None, 1000):
        assert questions_needed(0.0, total) == Needed(None, None) and questions_needed(
            1.0, total
        ) == Needed(1, 1)


@pytest.mark.parametrize(("right", "total"), [(1, 1000), (3, 9), (40, 1000), (5, 6)])
def test_without_replacement_no_more_questions_are_needed_than_there_are(right, total):
    wanted = questions_needed(right / total, total)
    for number, share in ((wanted.median, 0.5), (wanted.most, 0.95)):
        assert number is not None
        found, missed = hypergeom(total, right, number), hypergeom(total, right, number - 1)
        assert found.sf(0) >= share - 1e-9 and (number == 1 or missed.sf(0) < share)
    assert (
        questions_needed(1 / 1000, 1000)
        == Needed(500, 950)
        == questions_needed(exact_ratio(1, 300).low, 1000)
    )


def test_observed_lengths_are_plain_quantiles_where_all_searches_ended():
    assert observed_needed(list(range(1, 21)), []) == Needed(10, 19)
    assert observed_needed([4], []) == Needed(4, 4)


def test_where_no_search_found_anything_no_length_was_observed():
    assert observed_needed([], [9]) == observed_needed([], []) == Needed(None, None)


def test_censored_searches_count_as_longer_than_they_came():
    # Of 4 searches one was left after 2 questions: after 1 there remain 3/4, after 5 half of that.
    assert observed_needed([1, 5, 8], [2]) == Needed(5, 8)
    assert observed_needed([1], [3, 3, 3]) == Needed(None, None)
    # At a tie the censored search was still going when the other ended.
    assert observed_needed([3], [3]) == Needed(3, None)


@given(st.lists(st.integers(1, 12), max_size=30), st.lists(st.integers(1, 12), max_size=10))
def test_observed_lengths_are_kaplan_and_meiers(lengths, censored):
    remaining, points = 1.0, {}
    for length in sorted(set(lengths)):
        at_risk = sum(other >= length for other in [*lengths, *censored])
        remaining *= 1 - lengths.count(length) / at_risk
        for share in (0.5, 0.95):
            if 1 - remaining >= share - 1e-9:
                points.setdefault(share, length)
    assert observed_needed(lengths, censored) == Needed(points.get(0.5), points.get(0.95))


def test_expected_repeats_are_what_chance_does():
    rng = np.random.default_rng(3)
    sizes, total = (30, 50, 8), 200
    repeats = [
        sum(sizes) - len(set().union(*(rng.permutation(total)[:n].tolist() for n in sizes)))
        for _ in range(4000)
    ]
    error = np.std(repeats) / math.sqrt(len(repeats))
    assert abs(np.mean(repeats) - expected_repeats(sizes, total)) < 4 * error
    # One a draw: n^2 / 2N for few.
    assert expected_repeats([1] * 51, 87_599) == pytest.approx(51 * 50 / 2 / 87_599, rel=1e-3)
    assert expected_repeats([1000], 1000) == 0 and expected_repeats([9, 9], 9) == pytest.approx(9)


VALUES = st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.25, 3.0]), min_size=2, max_size=12)


@given(VALUES, st.data())
def test_rank_correlation_is_pearsons_of_the_ranks(one, data):
    other = data.draw(st.permutations(one))
    a, b = (rankdata(values) - (len(one) + 1) / 2 for values in (one, other))
    found = rank_correlation(np.array(one), np.array(other))
    if len(set(one)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(a @ b / math.sqrt((a @ a) * (b @ b)), abs=1e-12)


DIFFERENCES = np.random.default_rng(2).choice([-1.0, -0.4, 0.0, 0.3, 1.0], size=400)


@pytest.mark.parametrize("shift", [0.0, 0.06, 0.1])
def test_sign_flips_are_scipys_permutation_test(shift):
    moved = DIFFERENCES + shift
    theirs = permutation_test(
        (moved,), np.mean, permutation_type="samples", n_resamples=9999, rng=1
    ).pvalue
    assert sign_flips(moved) == pytest.approx(theirs, abs=5 * math.sqrt(theirs / 10_000))


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.3, 0.7, 1.0]), min_size=1, max_size=12))
def test_few_sign_flips_are_all_tried(differences):
    row = np.array(differences)
    signs = np.array(list(product([-1.0, 1.0], repeat=len(row))))
    wanted = (abs(signs @ row) >= abs(row.sum()) - 1e-9).mean()
    assert sign_flips(row) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("right", "asked"), [(0, 20), (1, 20), (19, 20), (20, 20), (37, 50)])
def test_two_values_have_clopper_and_pearsons_interval_by_weights_too(right, asked):
    """The weighted sum is then a beta variable; the limits of 10,000 draws vary by a fiftieth."""
    row = np.array([[1.0] * right + [0.0] * (asked - right)])
    ((low, high),) = _weighted(row, np.ones(asked), (0.0, 1.0))
    exact = exact_ratio(right, asked)
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=0.03 * exact.width)
    (found,) = mean_intervals(row, (0.0, 1.0), np.arange(asked))
    assert (found.low, found.high, found.wider) == (exact.low, exact.high, 1.0)
    (moved,) = mean_intervals(4 * row - 2, (-2.0, 2.0), None)
    assert (moved.low, moved.high) == pytest.approx((4 * exact.low - 2, 4 * exact.high - 2))


@pytest.mark.parametrize(
    ("worse", "better"), [(0, 5), (0, 6), (2, 10), (2, 12), (40, 60), (40, 66)]
)
def test_an_interval_of_differences_excludes_zero_where_mcnemar_rejects(worse, better):
    row = np.array([[-1.0] * worse + [1.0] * better + [0.0] * 200])
    (found,) = mean_intervals(row, (-1.0, 1.0), None)
    assert (found.low > 0) == (mcnemar(worse, better) < 0.05)
    assert sign_flips(row[0]) == mcnemar(worse, better)


def test_an_interval_does_not_depend_on_what_else_is_measured():
    values = np.array([[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.5, 0.0, 1.0, 0.2, 0.4]])
    groups = np.array([0, 0, 1, 1, 2, 3])
    together = mean_intervals(values, (0.0, 1.0), groups)
    assert together == [mean_intervals(row[None], (0.0, 1.0), groups)[0] for row in values]


def test_groups_of_one_change_nothing_and_equal_groups_count_once():
    rows = np.array([[0.0, 0.4, 1.0, 1.0, 0.7, 0.0]])
    alone = mean_intervals(rows, (0.0, 1.0), None)[0]
    single = mean_intervals(rows, (0.0, 1.0), np.array([5, 2, 9, 1, 0, 7]))[0]
    assert (alone.low, alone.high) == (single.low, single.high)
    assert (alone.wider, single.wider) == (None, 1.0)
    # Three copies of each value that belong together say no more than the values.
    tripled = mean_intervals(np.repeat(rows, 3, axis=1), (0.0, 1.0), np.arange(18) // 3)[0]
    assert (tripled.low, tripled.high) == pytest.approx((single.low, single.high))
    assert tripled.wider > 1.3


def test_one_group_says_almost_nothing():
    rows = np.array([[1.0] * 30 + [0.0] * 10])
    (found,) = mean_intervals(rows, (0.0, 1.0), np.zeros(40, dtype=int))
    # A share of 0.025 to 0.975 is that group's, uniformly, and the rest unknown.
    assert found.low == pytest.approx(0.025 * 0.75, abs=0.01)
    assert found.high == pytest.approx(1 - 0.025 * 0.25, abs=0.01)


def test_without_bounds_the_interval_is_the_bayesian_bootstraps():
    rows = np.random.default_rng(3).normal(5, 2, size=(1, 400))
    (found,) = mean_intervals(rows, None, None)
    error = 1.96 * rows.std() / 20
    assert (found.low, found.high) == pytest.approx(
        (rows.mean() - error, rows.mean() + error), abs=0.1 * error
    )


def test_an_interval_does_not_depend_on_the_order():
    rng = np.random.default_rng(4)
    rows, groups = rng.choice([0.0, 0.5, 1.0], size=(2, 60)), rng.integers(0, 20, size=60)
    order = rng.permutation(60)
    there = mean_intervals(rows, (0.0, 1.0), groups)
    assert mean_intervals(rows[:, order], (0.0, 1.0), groups[order] + 7) == there
    with pytest.raises(ValueError, match="no values"):
        mean_intervals(np.zeros((2, 0)), (0.0, 1.0), None)


def test_what_is_said_of_dependent_questions():
    assert dependence({"exact match": 1.0, "F1": 1.0}, "questions") == ""
    said = dependence({"exact match": 1.24, "F1": 1.31}, "questions")
    assert said.endswith(
        "1.2 (exact match) and 1.3 (F1) times as wide as if the questions were independent"
    )
    assert "counts as independent" in dependence({"F1": None}, "questions")
    assert dependence({"accuracy": 1.5}, "pairs").startswith("Several pairs share a text, so")


def _covers(ratio, rate) -> bool:
    return ratio.low <= rate <= ratio.high


def test_the_difference_of_two_shares_is_newcombes():
    """His table II, method 10: 56 of 70 and 48 of 80, 9 of 10 and 3 of 10."""
    found = share_difference((48, 80), (56, 70))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    found = share_difference((3, 10), (9, 10))
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.1705, 0.8090), abs=1e-4)
    found = share_difference((0, 10), (10, 10))
    assert (found.low, found.high) == pytest.approx((0.6075, 1.0), abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "rates", "factors"),
    [
        ((60, 90), (0.1, 0.1), (1, 1)),
        ((400, 300), (0.02, 0.05), (1, 1)),
        ((2000, 1000), (0.6, 0.5), (1, 1)),
        ((200, 300), (0.3, 0.2), (0.7, 1.1)),
    ],
)
def test_intervals_of_differences_cover_the_true_one(asked, rates, factors):
    rng = np.random.default_rng(3)
    truth = rates[1] * factors[1] - rates[0] * factors[0]
    drawn = zip(*(rng.binomial(n, p, 2000) for n, p in zip(asked, rates, strict=True)), strict=True)
    covered = [
        found.low <= truth <= found.high
        for one, two in drawn
        for found in [share_difference((one, asked[0]), (two, asked[1]), factors)]
    ]
    # Within four standard errors of 95 %, and not below 94 % for long.
    assert 0.93 < np.mean(covered) < 0.985


def test_equal_shares_seldom_differ_and_unequal_ones_do():
    rng = np.random.default_rng(4)
    drawn = zip(rng.binomial(400, 0.1, 4000), rng.binomial(300, 0.1, 4000), strict=True)
    p_values = np.array([shares_differ((a, 400), (b, 300)) for a, b in drawn])
    assert np.mean(p_values < 0.05) == pytest.approx(0.05, abs=0.015)
    assert shares_differ((0, 5), (0, 9)) == shares_differ((5, 5), (9, 9)) == 1.0
    # The usual statistic of 5 of 10 and 9 of 10 is 3.81; times 19 / 20 it is 3.62, and p is 0.057.
    assert shares_differ((5, 10), (9, 10)) == pytest.approx(0.0571, abs=1e-4)


def test_an_interval_of_ratios_holds_the_true_one_and_resamples_groups():
    rng = np.random.default_rng(1)
    below = rng.uniform(1, 3, (60, 40))
    above = 0.3 * below + rng.normal(0, 0.5, (60, 40))
    groups = np.arange(40)
    ends = [ratio_intervals(a[None], b, groups)[0] for a, b in zip(above, below, strict=True)]
    assert np.mean([low <= 0.3 <= high for low, high in ends]) > 0.85
    # Each example four times is no more than once, if the four are said to belong together.
    (once,) = ratio_intervals(above[:1], below[0], groups)
    repeated = (np.repeat(above[:1], 4, axis=1), np.repeat(below[0], 4))
    (together,) = ratio_intervals(*repeated, np.repeat(groups, 4))
    (alone,) = ratio_intervals(*repeated, np.arange(160))
    assert together == pytest.approx(once, abs=1e-12)
    assert alone[1] - alone[0] < 0.7 * (once[1] - once[0])
    with pytest.raises(ValueError, match="no values"):
        ratio_intervals(np.zeros((1, 0)), np.zeros(0), np.zeros(0, int))
