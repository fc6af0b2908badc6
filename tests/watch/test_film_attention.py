import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.figures.panels import evenly_spaced
from qa_research.watch.film import (
    FULL,
    NOT_A_NUMBER,
    FilmAttention,
    as_bytes,
    film_attention,
    make_film,
    moved_most,
)
from qa_research.watch.page import film_data
from tests.watch.recordings import describe, make_attention, make_logits

ROWS = [describe(), describe("What is the fee for group Y in all?", "8 crowns", number=1)]
N = len(ROWS[0]["tokens"])
STEPS = list(range(0, 90, 10))
CAPTURE_BYTES = 2 * 3 * N**2


@pytest.fixture(scope="module")
def attention():
    return make_attention(ROWS, STEPS, [0, 5], 3)


def as_weights(codes):
    """The weights that `as_bytes` encoded, as the page's script decodes them."""
    return np.where(codes == NOT_A_NUMBER, np.nan, (codes / FULL) ** 2)


def test_a_byte_is_as_close_to_its_weight_as_promised():
    weights = np.linspace(0, 1, 2001)
    error = abs(as_weights(as_bytes(weights)) - weights)
    assert error.max() <= 0.004 and error[weights <= 0.003].max() <= 0.0003
    assert as_weights(as_bytes(np.array([0.0, 1.0]))).tolist() == [0, 1]


def test_a_weight_that_is_not_a_number_stays_so():
    codes = as_bytes(np.array([np.nan, np.inf, 1.0], dtype=np.float16))
    assert codes.tolist() == [255, 255, 254]
    assert np.isnan(as_weights(codes)).tolist() == [True, True, False]


def test_all_captures_are_kept_where_they_fit(attention):
    kept = film_attention(attention, 0, N, len(STEPS) * CAPTURE_BYTES)
    assert (kept.steps.tolist(), kept.layers, kept.note) == (STEPS, (0, 5), "")
    recorded = attention["weight"].to_numpy()[:, 0, :, :, :N, :N].astype(float)
    assert kept.weights.shape == recorded.shape
    np.testing.assert_allclose(as_weights(kept.weights), recorded, atol=0.004)


def test_captures_are_omitted_evenly_and_the_film_says_so(attention):
    kept = film_attention(attention, 0, N, 3 * CAPTURE_BYTES + 1)
    assert kept.steps.tolist() == [0, 40, 80]
    assert "3 of 9 captures, evenly spaced" in kept.note
    whole = film_attention(attention, 0, N, 10**9)
    np.testing.assert_array_equal(kept.weights, whole.weights[[0, 4, 8]])


def test_if_one_capture_fits_it_is_the_last_and_if_none_does_the_film_says_so(attention):
    one = film_attention(attention, 0, N, CAPTURE_BYTES)
    assert one.steps.tolist() == [80] and "only the last of 9 captures" in one.note
    none = film_attention(attention, 0, N, CAPTURE_BYTES - 1)
    assert none.steps.tolist() == [] and "is omitted here" in none.note


@given(st.integers(0, 300), st.integers(0, 300))
def test_evenly_spaced_indices_are_distinct_in_order_and_have_both_ends(n, at_most):
    chosen = evenly_spaced(n, at_most).tolist()
    assert chosen == sorted(set(chosen)) and len(chosen) == min(n, at_most)
    assert not chosen or chosen[-1] == n - 1
    assert len(chosen) < 2 or chosen[0] == 0
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_the_page_opens_at_the_head_whose_attention_from_the_answer_moved_most():
    weight = np.zeros((2, 2, 3, 4, 4))
    weight[..., 0] = 1.0  # everything attends to token 0
    weight[1, 1, 2, 3] = [0, 0, 1, 0]  # then one head's last token to token 2: moved by 2
    weight[1, 0, 1, 0] = [0, 0, 0, 1]  # another's first token, too, which is not asked about
    weight[1, 0, 0] = np.nan
    steps, layers = np.array([0, 10]), (0, 5)
    film = FilmAttention(steps, layers, as_bytes(weight), "")
    first, last = as_weights(film.weights)
    assert moved_most(first[:, :, 2:4], last[:, :, 2:4]) == (1, 2)
    assert moved_most(first[:, :, :1], last[:, :, :1]) == (0, 1)


def test_the_page_decodes_the_weights_of_one_head_from_its_bytes(attention):
    film = make_film(ROWS[0], 0, make_logits(ROWS, STEPS, 40), attention)
    data = film_data(film)["attention"]
    codes = np.frombuffer(base64.b64decode(data["captures"][7]), dtype=np.uint8)
    layer, head, query = 1, 2, 11
    begin = ((layer * data["heads"] + head) * N + query) * N
    weights = (codes[begin : begin + N] / data["full"]) ** 2
    recorded = attention["weight"].to_numpy()[7, 0, layer, head, query, :N]
    np.testing.assert_allclose(weights, recorded, atol=0.004)
    assert data["steps"] == STEPS and weights.sum() == pytest.approx(1, abs=0.01)
