from dataclasses import replace

import numpy as np
import pytest

from qa_research.explain.words.faithfulness import N_RANDOM_ORDERS, counts_of, faithfulness
from qa_research.explain.words.result import Curve, Curves
from tests.explain.words.attributions import faithfulness_of

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
    found, full = faithfulness(share_of_two, {"right": values_of(3, 7)}, 1)
    right = found.methods["right"]
    assert full == pytest.approx(0.9) and found.counts == (0, 1, 2, 3, 5, 8, 12)
    assert right.comprehensiveness.curve == pytest.approx([0, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert right.sufficiency.curve == pytest.approx([0.9, 0.4, 0, 0, 0, 0, 0], abs=1e-12)
    assert right.comprehensiveness.area == pytest.approx((0.5 + 4 * 0.9) / 5)
    assert right.sufficiency.area == pytest.approx(0.4 / 5)


def test_a_right_order_beats_random_ones_and_the_wrong_order_none():
    methods = {"gradients": values_of(3, 7), "erasure": -values_of(3, 7)}
    found, _ = faithfulness(share_of_two, methods, 1)
    right, wrong = found.methods["gradients"], found.methods["erasure"]
    assert right.comprehensiveness.beats >= 0.95 and right.sufficiency.beats >= 0.95
    assert wrong.comprehensiveness.beats == 0 and wrong.sufficiency.beats == 0
    assert found.orders == N_RANDOM_ORDERS
    assert found.doubts == [
        f"Word erasure is no more faithful than chance in its {kind}: it beats 0 of 20 random orders "
        "(p 1.000)."
        for kind in ("comprehensiveness", "sufficiency")
    ]


def test_the_bands_hold_the_random_orders():
    random = faithfulness(share_of_two, {"a": values_of(3, 7)}, 1)[0].random
    for band in (random.comprehensiveness, random.sufficiency):
        assert all(
            low <= mean <= high
            for low, mean, high in zip(band.low, band.mean, band.high, strict=True)
        )
        mean, low, high = band.area
        assert low < mean < high
    # All orders agree where no word is switched, and where all are.
    assert random.comprehensiveness.low[0] == random.comprehensiveness.high[0] == 0
    assert random.sufficiency.low[0] == random.sufficiency.high[0] == 0.9


def test_random_orders_are_those_of_the_seed():
    one, again, other = (faithfulness(share_of_two, {"a": values_of(3)}, s)[0] for s in (1, 1, 2))
    assert one.random == again.random
    assert one.random != other.random


def test_only_the_curve_that_fails_is_named_and_never_with_all_orders_beaten():
    one = faithfulness_of(3, ("lime",))
    good, bad = Curve((0.0, 0.8), 0.4, 1.0), Curve((0.0, 0.8), 0.4, 0.95)
    mixed = replace(one, methods={"lime": Curves(good, bad)})
    assert mixed.doubts == [
        "LIME is no more faithful than chance in its sufficiency: it beats 19 of 20 random orders (p 0.095)."
    ]
    assert replace(one, methods={"lime": Curves(good, good)}).doubts == []


def test_few_words_have_few_orders_and_that_is_said():
    found, _ = faithfulness(lambda masks: 0.3 * masks[:, 0], {"erasure": np.array([2.0, 1, 0])}, 1)
    assert found.orders == 6
    assert found.doubts == [
        "There are only 6 orders of 3 words: no method can be shown to be more faithful than chance."
    ]


def test_each_mask_is_evaluated_once():
    evaluated = []

    def probability(masks):
        evaluated.append(masks)
        return share_of_two(masks)

    faithfulness(probability, {"a": values_of(3), "b": values_of(3)}, 1)
    (masks,) = evaluated
    assert len(np.unique(masks, axis=0)) == len(masks)


def test_one_word_has_curves_too():
    found, _ = faithfulness(lambda masks: 0.8 * masks[:, 0], {"a": np.array([1.0])}, 1)
    assert found.methods["a"].comprehensiveness.area == pytest.approx(0.8)
    assert found.methods["a"].comprehensiveness.beats == 0


def test_nothing_to_rank_is_refused():
    for rankings in ({}, {"a": np.zeros(0)}):
        with pytest.raises(ValueError, match="nothing to rank"):
            faithfulness(share_of_two, rankings, 1)
