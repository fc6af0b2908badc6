"""What trains when, as a pure function of the step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.training.finetuning.strategies import Discriminative, Frozen, Gradual, TopK

LAYERS = st.integers(1, 40)
STEPS = st.integers(0, 10_000)


def test_frozen_trains_the_head_alone():
    assert Frozen().factors(0, 2) == Frozen().factors(999, 2) == (0, 0, 0, 1)


def test_top_k_trains_the_last_layers_and_the_head():
    assert TopK(1).factors(5, 3) == (0, 0, 0, 1, 1)
    # All layers: the embeddings still do not train.
    assert TopK(3).factors(5, 3) == (0, 1, 1, 1, 1)


def test_more_layers_than_there_are_is_refused():
    TopK(2).check(2)
    with pytest.raises(ValueError, match=r"^finetuning\.layers=99 is more than the 2 layers"):
        TopK(99).check(2)


@pytest.mark.parametrize(
    ("step", "factors"),
    [
        (0, (0, 0, 0, 1)),
        (9, (0, 0, 0, 1)),
        (10, (0, 0, 1, 1)),
        (19, (0, 0, 1, 1)),
        (20, (0, 1, 1, 1)),
        (29, (0, 1, 1, 1)),
        (30, (1, 1, 1, 1)),
        (1000, (1, 1, 1, 1)),
    ],
)
def test_gradual_thaws_a_part_at_a_time_from_the_head_down(step, factors):
    assert Gradual(10).factors(step, 2) == factors


@given(every=st.integers(1, 50), layers=LAYERS, step=STEPS)
def test_gradual_changes_at_its_thaws_and_nowhere_else(every, layers, step):
    strategy = Gradual(every)
    changes = strategy.factors(step + 1, layers) != strategy.factors(step, layers)
    assert changes == (step + 1 in strategy.thaws(layers))


@given(every=st.integers(1, 500), layers=LAYERS, steps=st.integers(0, 10_000))
def test_gradual_is_accepted_exactly_if_the_last_thaw_is_followed_by_a_step(every, layers, steps):
    if max(Gradual(every).thaws(layers)) < steps:
        Gradual(every).check_steps(layers, steps)
        return
    with pytest.raises(ValueError, match="would thaw the embeddings after step") as refused:
        Gradual(every).check_steps(layers, steps)
    if "at most" in str(refused.value):
        possible = int(str(refused.value).split("at most ")[1].split()[0])
        Gradual(possible).check_steps(layers, steps)
        with pytest.raises(ValueError):
            Gradual(possible + 1).check_steps(layers, steps)


def test_discriminative_rates_fall_with_depth():
    assert Discriminative(0.5).factors(7, 2) == (0.125, 0.25, 0.5, 1)
    assert Discriminative(1.0).factors(7, 2) == (1, 1, 1, 1)
