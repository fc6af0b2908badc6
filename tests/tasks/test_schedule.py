import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.tasks.learning import learning_rate_factor


def test_it_rises_to_the_peak_and_falls_to_zero():
    factors = [learning_rate_factor(step, 10, 110, "linear") for step in range(112)]
    assert factors[0] == 0 and factors[5] == 0.5 and factors[10] == 1
    assert factors[60] == pytest.approx(0.5) and factors[110] == factors[111] == 0


def test_cosine_is_half_way_down_in_the_middle_and_constant_stays():
    assert learning_rate_factor(60, 10, 110, "cosine") == pytest.approx(0.5)
    assert learning_rate_factor(35, 10, 110, "cosine") > learning_rate_factor(35, 10, 110, "linear")
    assert learning_rate_factor(109, 10, 110, "constant") == 1


@given(
    st.integers(0, 500),
    st.integers(0, 99),
    st.integers(100, 400),
    st.sampled_from(["linear", "cosine", "constant"]),
)
def test_it_stays_within_zero_and_one(step, warmup, total, decay):
    assert 0 <= learning_rate_factor(step, warmup, total, decay) <= 1


def test_a_warm_up_that_never_ends_is_refused():
    with pytest.raises(ValueError, match="the warm-up takes 5 of 5 steps"):
        learning_rate_factor(0, 5, 5, "linear")
