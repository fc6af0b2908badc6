from itertools import combinations

import numpy as np
import pytest

from qa_research.explain.images.trust import (
    Separation,
    Verdict,
    chance_jaccard,
    jaccard,
    stability,
    verdict,
)

APART = Separation(9.0, 2.0, (1,))


def judged(stable=None, r2=0.9, separated=APART, probability=0.8, beaten=None, exact=True):
    beaten = beaten or {"deletion": 1.0}
    return verdict(np.array([0.2, 0.1]), stable, r2, separated, 2, probability, beaten, exact=exact)


def agreeing(*rows):
    by_seed = np.array(rows, dtype=float)
    return stability(by_seed, by_seed.mean(axis=0), 2)


def test_jaccard_by_hand():
    assert jaccard([1, 2], [2, 3]) == pytest.approx(1 / 3)


def test_chance_is_the_mean_over_all_pairs_of_sets():
    sets = list(combinations(range(6), 3))
    wanted = np.mean([jaccard(a, b) for a in sets for b in sets])
    assert chance_jaccard(3, 6) == pytest.approx(wanted)
    assert chance_jaccard(4, 4) == 1


def test_seeds_that_agree():
    found = agreeing([0.5, 0.3, 0.1, -0.1], [0.6, 0.2, 0.1, -0.2])
    assert (found.jaccard, found.rank_correlation, found.sign_agreement) == (1, 1, 1)
    assert found.tops == ((0, 1), (0, 1))
    assert judged(found, exact=False) == Verdict("stable", ())


def test_seeds_that_disagree_are_unstable_and_the_reason_has_the_numbers():
    found = agreeing([0.5, 0.3, 0.1, -0.1], [-0.1, 0.1, 0.6, 0.5])
    assert found.jaccard == 0
    assert found.rank_correlation < 0
    said = judged(found)
    assert said.word == "unstable"
    assert said.doubts == ("2 seeds disagree on the top 2: Jaccard index 0.00 (by chance 0.39).",)


def test_a_sign_that_one_seed_sees_otherwise_counts():
    found = agreeing([0.5, 0.2, -0.3, -0.4], [0.5, -0.1, -0.3, -0.4])
    assert found.sign_agreement == 0.75


def test_one_seed_says_nothing_about_stability():
    assert agreeing([0.5, 0.3, 0.1, -0.1]) is None
    said = judged(None, exact=False)
    assert said.word == "doubtful" and "one seed alone" in said.doubts[0]
    assert judged(None, exact=True).word == "stable"


def test_seeds_whose_coefficients_are_all_equal_have_no_rank_correlation():
    assert np.isnan(agreeing([0, 0, 0, 0], [0, 0, 0, 0]).rank_correlation)


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ({"r2": 0.2}, "explains 20% of what"),
        (
            {"separated": Separation(0.4, 2.0, (3, 5))},
            "cannot be told apart; tied are segments 3, 5",
        ),
        ({"probability": 0.03}, "gives the class 3.0% only"),
        ({"beaten": {"insertion": 0.6}}, "insertion curve the ranking beats 60% of random"),
    ],
)
def test_each_control_can_make_it_doubtful(control, said):
    found = judged(**control)
    assert found.word == "doubtful"
    assert len(found.doubts) == 1 and said in found.doubts[0]


def test_what_never_changes_is_unstable():
    found = judged(r2=float("nan"))
    assert found.word == "unstable"
    assert "does not change whatever is switched off" in found.doubts[0]
