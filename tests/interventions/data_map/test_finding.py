"""How well a measure finds what is marked: the area under the curve, and how often its interval holds it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from qa_research.interventions.data_map.finding import auc_of, found_by


def test_the_example_by_hand():
    marked = np.array([True, True, False, False])
    found = auc_of(np.array([3.0, 1.0, 2.0, 0.0]), marked, np.arange(4))
    assert found.value == 0.75 and found.low < 0.75 < found.high


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_that_of_scikit_learn_also_with_ties(rows):
    values, marked = (np.array(column) for column in zip(*rows, strict=True))
    if marked.all() or not marked.any():
        with pytest.raises(ValueError, match="marked, and others"):
            auc_of(values.astype(float), marked, np.arange(len(rows)))
        return
    found = auc_of(values.astype(float), marked, np.arange(len(rows)))
    assert found.value == pytest.approx(roc_auc_score(marked, values))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_finding_all_of_a_few_is_not_certain():
    values, marked = np.arange(50.0), np.arange(50) >= 47
    found = auc_of(values, marked, np.arange(50))
    assert found.value == found.high == 1.0 and 0.3 < found.low < 0.95


def test_examples_that_belong_together_make_the_interval_wider():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.random(40), 5)
    marked = np.repeat(np.arange(40) < 8, 5)
    alone = auc_of(values, marked, np.arange(200))
    together = auc_of(values, marked, np.repeat(np.arange(40), 5))
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_the_interval_holds_the_true_area_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    truth, held = norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(100):
        values = np.concatenate([rng.normal(1, 1, 10), rng.normal(0, 1, 90)])
        found = auc_of(values, np.arange(100) < 10, np.arange(100))
        held += found.low <= truth <= found.high
    assert held >= 90


def test_a_measure_that_is_not_defined_is_left_out():
    marked = np.array([True, False, False])
    measures = {"one": np.array([1.0, 0.0, 0.0]), "none": np.full(3, np.nan)}
    assert [one.measure for one in found_by(measures, marked, np.arange(3))] == ["one"]
