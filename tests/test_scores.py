"""Scores that are no means: values as scikit-learn and scipy have them, intervals that cover, exchanges."""

from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from qa_research.scores import STATISTICS, statistic_difference, statistic_interval
from qa_research.tasks.task import Metric, check_metrics

PEARSON, SPEARMAN, F1 = (STATISTICS[name] for name in ("pearson", "spearman", "f1"))


def correlated(n, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return np.array([x, x + noise * rng.normal(size=n)])


def test_every_statistic_can_be_named_in_a_config():
    annotation = get_type_hints(Metric)["statistic"]
    assert set(get_args(annotation)) == STATISTICS.keys()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=30))
def test_correlations_are_those_of_numpy_and_scipy_also_with_ties(pairs):
    columns = np.array(pairs, dtype=float).T
    if np.ptp(columns, axis=1).min() == 0:
        assert PEARSON.of(columns) == SPEARMAN.of(columns) == 0.0
        return
    assert PEARSON.of(columns) == pytest.approx(np.corrcoef(columns)[0, 1])
    assert SPEARMAN.of(columns) == pytest.approx(spearmanr(*columns).statistic)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_f1_is_that_of_scikit_learn(pairs):
    columns = np.array(pairs, dtype=float).T
    assert F1.of(columns) == pytest.approx(f1_score(columns[1], columns[0], zero_division=0.0))


@pytest.mark.parametrize("name", STATISTICS)
def test_an_example_that_weighs_twice_counts_as_two(name):
    rng = np.random.default_rng(1)
    columns = np.array([rng.integers(0, 2, 20), rng.integers(0, 2, 20)], dtype=float)
    weights = rng.integers(1, 4, 20)
    found = STATISTICS[name].compute(columns, weights[None].astype(float))
    assert found == pytest.approx(STATISTICS[name].of(np.repeat(columns, weights, axis=1)))


@pytest.mark.parametrize("name", ["pearson", "spearman"])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1e6, 1e-2), (0.0, 1e-20)])
def test_draws_at_once_are_each_that_of_examples_that_occur_so_often(name, shift, scale):
    rng = np.random.default_rng(2)
    # With ties, and with examples that do not occur, as in an exchange.
    columns = shift + scale * rng.integers(0, 9, (2, 40)).astype(float)
    weights = rng.integers(0, 4, (25, 40))
    found = STATISTICS[name].compute(columns, weights.astype(float))
    each = [STATISTICS[name].of(np.repeat(columns, row, axis=1)) for row in weights]
    assert found == pytest.approx(np.array(each), abs=1e-9)


def test_a_draw_in_which_a_column_is_constant_has_no_correlation():
    columns = np.array([[1.0, 1.0, 2.0, 5.0], [3.0, 4.0, 4.0, 4.0]])
    weights = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.3]])
    for statistic in (PEARSON, SPEARMAN):
        assert statistic.compute(columns, weights).tolist() == [0.0, 0.0]


def test_an_interval_covers_the_true_correlation_about_as_often_as_it_says():
    true = 1 / np.sqrt(2)
    found = [statistic_interval(PEARSON, correlated(60, seed), None) for seed in range(60)]
    covered = sum(one.low <= true <= one.high for one in found)
    # 57 are expected; fewer than 51 would have a chance of 1 in 100.
    assert covered >= 51


def test_all_right_of_few_do_not_say_that_all_others_are_right():
    found = statistic_interval(F1, np.ones((2, 20)), None)
    assert 0.85 < found.low < 0.95 and found.high == 1.0


def test_copies_of_examples_that_belong_together_say_no_more_than_the_examples():
    alone = correlated(40)
    copies = np.repeat(alone, 3, axis=1)
    groups = np.repeat(np.arange(40), 3)
    together = statistic_interval(PEARSON, copies, groups)
    single = statistic_interval(PEARSON, alone, np.arange(40))
    assert single.wider == 1.0 and together.wider == pytest.approx(np.sqrt(3), rel=0.15)
    assert together.low == pytest.approx(single.low, abs=0.03)


def test_equal_runs_do_not_differ_and_a_better_one_does():
    first = correlated(200, noise=1.0)
    better = np.array([first[0], first[1]])
    better[0] = 0.5 * first[0] + 0.5 * first[1]
    same = statistic_difference(PEARSON, first, first, None)
    assert (same.value, same.p) == (0.0, 1.0)
    found = statistic_difference(PEARSON, first, better, None)
    assert found.interval.low > 0 and found.p < 0.001
    turned = statistic_difference(PEARSON, better, first, None)
    assert turned.value == -found.value and turned.p == pytest.approx(found.p, abs=0.01)


def test_between_equals_a_small_p_is_rare():
    # Two runs with errors of their own around the same prediction.
    rng = np.random.default_rng(3)
    small = 0
    for _ in range(40):
        true = rng.normal(size=50)
        first, second = (np.array([true + rng.normal(size=50), true]) for _ in range(2))
        small += statistic_difference(SPEARMAN, first, second, None).p < 0.05
    assert small <= 6


def test_no_examples_have_no_score():
    with pytest.raises(ValueError, match="a score of no examples"):
        statistic_interval(PEARSON, np.zeros((2, 0)), None)


@pytest.mark.parametrize("keys", [{}, {"statistic": "f1"}, {"per_example": "a", "of": ["a", "b"]}])
def test_a_metric_says_once_what_it_is_computed_from(keys):
    metric = {"name": "val/x", "label": "x", "short": "x", "better": "higher", "scale": 1.0}
    with pytest.raises(ValueError, match="val/x must have either per_example, or statistic and of"):
        check_metrics([metric | keys])
