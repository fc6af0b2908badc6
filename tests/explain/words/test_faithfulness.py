import numpy as np
import pytest

from qa_research.explain.words.faithfulness import RANDOM_ORDERS, counts_of, faithfulness

N = 12


def share_of_two(masks):
    """0.5 for unit 3 and 0.4 for unit 7 that is on."""
    return 0.5 * masks[:, 3] + 0.4 * masks[:, 7]


def values_of(*first):
    values = np.zeros(N)
    values[list(first)] = np.arange(len(first), 0, -1)
    return values


def test_counts_grow_and_end_at_all_units():
    assert counts_of(12).tolist() == [0, 1, 2, 3, 5, 8, 12]
    assert counts_of(13).tolist() == [0, 1, 2, 3, 5, 8, 13]
    assert counts_of(3).tolist() == [0, 1, 2, 3]
    assert counts_of(2).tolist() == [0, 1, 2] and counts_of(1).tolist() == [0, 1]


def test_curves_by_hand():
    found = faithfulness(share_of_two, {"right": values_of(3, 7)}, 1)
    right = found.methods["right"]
    assert found.probability == pytest.approx(0.9)
    np.testing.assert_allclose(right.comprehensiveness, [0, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9])
    np.testing.assert_allclose(right.sufficiency, [0.9, 0.4, 0, 0, 0, 0, 0], atol=1e-12)
    assert right.comprehensiveness_area == pytest.approx((0.5 + 4 * 0.9) / 5)
    assert right.sufficiency_area == pytest.approx(0.4 / 5)


def test_a_right_order_beats_random_ones_and_the_wrong_order_none():
    methods = {"right": values_of(3, 7), "wrong": -values_of(3, 7)}
    found = faithfulness(share_of_two, methods, 1)
    right, wrong = found.methods["right"], found.methods["wrong"]
    assert right.comprehensiveness_beats >= 0.95 and right.sufficiency_beats >= 0.95
    assert wrong.comprehensiveness_beats == 0 and wrong.sufficiency_beats == 0
    assert found.random.comprehensiveness.shape == (RANDOM_ORDERS, len(found.counts))


def test_random_orders_are_those_of_the_seed():
    one, again, other = (faithfulness(share_of_two, {"a": values_of(3)}, s) for s in (1, 1, 2))
    assert np.array_equal(one.random.sufficiency, again.random.sufficiency)
    assert not np.array_equal(one.random.sufficiency, other.random.sufficiency)


def test_each_mask_is_asked_once():
    asked = []

    def probability(masks):
        asked.append(masks)
        return share_of_two(masks)

    faithfulness(probability, {"a": values_of(3), "b": values_of(3)}, 1)
    (masks,) = asked
    assert len(np.unique(masks, axis=0)) == len(masks)


def test_one_word_has_curves_too():
    found = faithfulness(lambda masks: 0.8 * masks[:, 0], {"a": np.array([1.0])}, 1)
    assert found.methods["a"].comprehensiveness_area == pytest.approx(0.8)
    assert found.methods["a"].comprehensiveness_beats == 0


def test_nothing_to_rank_is_refused():
    for rankings in ({}, {"a": np.zeros(0)}):
        with pytest.raises(ValueError, match="nothing to rank"):
            faithfulness(share_of_two, rankings, 1)
