"""Examples that are alike by their words."""

import numpy as np

from qa_research.interventions.influence.similar import text_scores

EXAMPLES = (
    ["who", "teaches", "group", "b"],
    ["where", "is", "group", "b"],
    ["who", "teaches", "group", "k"],
    ["when", "is", "lunch"],
)


def test_rare_words_count_more_than_common_ones():
    (found,) = text_scores([["who", "teaches", "group", "k"]], EXAMPLES)
    assert np.argsort(-found, kind="stable").tolist()[:2] == [2, 0]
    assert found[3] == 0


def test_words_that_no_example_has_count_nothing():
    found = text_scores([["zebra"], ["zebra", "lunch"], []], EXAMPLES)
    assert not found[0].any() and not found[2].any()
    assert np.flatnonzero(found[1]).tolist() == [3]


def test_it_is_bm25():
    """By hand: idf ln(1 + (N - n + 0.5) / (n + 0.5)) times f / (f + k1 (1 - b + b length / mean))."""
    (found,) = text_scores([["lunch", "b"]], EXAMPLES)
    mean = 15 / 4
    of_lunch = np.log(1 + (4 - 1 + 0.5) / 1.5) / (1 + 1.5 * (0.25 + 0.75 * 3 / mean))
    of_b = np.log(1 + (4 - 2 + 0.5) / 2.5) / (1 + 1.5 * (0.25 + 0.75 * 4 / mean))
    assert np.allclose(found, [of_b, of_b, 0, of_lunch], rtol=1e-5)
