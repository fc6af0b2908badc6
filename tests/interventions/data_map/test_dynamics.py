"""The arithmetic of a data map, by hand and beside plain loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qa_research.interventions.data_map.dynamics import (
    NEVER,
    agreement_of,
    dynamics_of,
    regions_of,
)


def test_the_example_by_hand():
    probability = np.array([[0.1, 0.2], [0.9, 0.2], [0.5, 0.2], [0.9, 0.2]])
    right = np.array([[False, False], [True, False], [False, False], [True, False]])
    found = dynamics_of(probability, right)
    assert found.confidence == pytest.approx([0.6, 0.2])
    assert found.variability == pytest.approx([math.sqrt(0.11), 0.0])
    assert found.correctness == pytest.approx([0.5, 0.0])
    assert found.forgotten.tolist() == [1, 0] and found.learned.tolist() == [1, NEVER]


@given(
    arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(0, 1)),
    st.randoms(use_true_random=False),
)
def test_each_number_is_that_of_a_plain_loop(probability, random):
    right = np.array([[random.random() < 0.5 for _ in row] for row in probability], dtype=bool)
    found = dynamics_of(probability, right)
    for example in range(probability.shape[1]):
        own, answers = probability[:, example].tolist(), right[:, example].tolist()
        mean = sum(own) / len(own)
        assert found.confidence[example] == pytest.approx(mean)
        if len(own) > 1:
            spread = math.sqrt(sum((p - mean) ** 2 for p in own) / len(own))
            assert found.variability[example] == pytest.approx(spread, abs=1e-12)
        else:
            assert math.isnan(found.variability[example])
        lost = sum(a and not b for a, b in pairwise(answers))
        assert found.forgotten[example] == lost
        assert found.learned[example] == (answers.index(True) if True in answers else NEVER)


def test_regions_are_thirds_by_the_documented_rule():
    # The docstring's example, as two steps around each confidence.
    confidence = np.array([0.5, 0.9, 0.2, 0.8, 0.4, 0.1])
    spread = np.array([0.4, 0.1, 0.1, 0.0, 0.3, 0.2])
    found = dynamics_of(np.stack([confidence - spread, confidence + spread]), np.ones((2, 6), bool))
    assert regions_of(found) == ["ambiguous", "easy", "hard", "easy", "ambiguous", "hard"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10, 100])
def test_regions_share_all_examples(count):
    rng = np.random.default_rng(count)
    regions = regions_of(dynamics_of(rng.random((3, count)), np.ones((3, count), bool)))
    assert regions.count("ambiguous") == count // 3
    assert 0 <= regions.count("hard") - regions.count("easy") <= 1


def test_a_single_step_has_no_ambiguous_examples():
    found = dynamics_of(np.array([[0.9, 0.1, 0.5, 0.2]]), np.ones((1, 4), bool))
    assert regions_of(found) == ["easy", "hard", "easy", "hard"]


def test_steps_agree_on_examples_that_differ_and_not_on_noise():
    rng = np.random.default_rng(0)
    own = rng.random(200)
    right = np.ones((8, 200), bool)
    same = agreement_of(np.clip(own + 0.01 * rng.standard_normal((8, 200)), 0, 1), right)
    noise = agreement_of(rng.random((8, 200)), right)
    assert same.confidence > 0.95 and abs(noise.confidence) < 0.3 and abs(noise.variability) < 0.3
    assert agreement_of(rng.random((3, 200)), right[:3]) is None
