from itertools import combinations

import numpy as np
import pytest

from qa_research.explain.images.trust import (
    Separation,
    Verdict,
    chance_jaccard,
    stability,
    verdict,
)
from qa_research.explain.surrogate import Fit

SEPARATE = Separation(True, 9.0, 2.0, (1,))


def judged(stable=None, r2=0.9, separated=SEPARATE, probability=0.8, beaten=None, exact=True):
    beaten = beaten or {"deletion": 1.0}
    fit = Fit(np.array([0.2, 0.1]), 0.5, r2)
    return verdict(fit, separated, stable, 2, probability, beaten, exact=exact)


def agreeing(*rows):
    by_seed = np.array(rows, dtype=float)
    return stability(by_seed, by_seed.mean(axis=0), 2)


def test_chance_is_the_mean_over_all_pairs_of_sets():
    sets = list(combinations(range(6), 3))
    wanted = np.mean([len({*a} & {*b}) / len({*a} | {*b}) for a in sets for b in sets])
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


def test_a_sign_that_differs_in_one_seed_counts():
    found = agreeing([0.5, 0.2, -0.3, -0.4], [0.5, -0.1, -0.3, -0.4])
    assert found.sign_agreement == 0.75


def test_one_seed_says_nothing_about_stability():
    assert agreeing([0.5, 0.3, 0.1, -0.1]) is None
    said = judged(None, exact=False)
    assert said.word == "doubtful" and "only one seed" in said.doubts[0]
    assert judged(None, exact=True).word == "stable"


def test_seeds_whose_coefficients_are_all_equal_have_no_rank_correlation():
    assert np.isnan(agreeing([0, 0, 0, 0], [0, 0, 0, 0]).rank_correlation)


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ({"r2": 0.2}, "explains only 20% of the effect"),
        (
            {"separated": Separation(False, 0.4, 2.0, (3, 5))},
            "cannot be distinguished; segments 3, 5 are tied",
        ),
        ({"probability": 0.03}, "gives the class only 3.0%"),
        ({"beaten": {"insertion": 0.6}}, "insertion curve the ranking beats only 60% of random"),
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
