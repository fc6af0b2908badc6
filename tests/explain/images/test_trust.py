from dataclasses import replace

import numpy as np
import pytest

from qa_research.explain.images.blanking import Curve
from qa_research.explain.images.trust import Evidence, Verdict, stability, verdict
from qa_research.explain.ranking import StableTop

STABLE = StableTop(2, (1, 2), (3, 4), 5, 0.0001, 12)
RANKS = "The top 2 are stable: all 5 seeds name them; ranks 3 to 4 are tied."
GOOD = Evidence(
    coefficients=np.array([0.2, 0.1, -0.1]),
    r2=0.9,
    r2_by_chance=0.0,
    r2_without_penalty=0.9,
    r2_in_float32=None,
    stable_top=STABLE,
    probability=0.8,
    curves={},
    confidence=0.95,
)


def curve(beaten, orders):
    nothing = np.zeros(2)
    random = np.zeros(orders)
    return Curve(nothing, nothing, 0.5, random, nothing, nothing, nothing, nothing, beaten / orders)


def judged(**changes):
    return verdict(replace(GOOD, **changes))


def agreeing(*rows):
    by_seed = np.array(rows, dtype=float)
    return stability(by_seed, by_seed.mean(axis=0), 2)


def test_seeds_that_agree():
    found = agreeing([0.5, 0.3, 0.1, -0.1], [0.6, 0.2, 0.1, -0.2])
    assert (found.jaccard, found.rank_correlation, found.sign_agreement) == (1, 1, 1)
    assert found.tops == ((0, 1), (0, 1))


def test_a_sign_that_differs_in_one_seed_counts():
    found = agreeing([0.5, 0.2, -0.3, -0.4], [0.5, -0.1, -0.3, -0.4])
    assert found.sign_agreement == 0.75


def test_seeds_whose_coefficients_are_all_equal_have_no_rank_correlation():
    assert np.isnan(agreeing([0, 0, 0, 0], [0, 0, 0, 0]).rank_correlation)
    assert agreeing([0.5, 0.3, 0.1, -0.1]) is None


def test_a_stable_top_that_no_control_contradicts_is_stable_and_named():
    assert judged() == Verdict("stable", (), RANKS)


def test_seeds_that_agree_on_no_top_are_unstable():
    none = replace(STABLE, k=0, sizes=())
    said = judged(stable_top=none)
    assert said.word == "unstable"
    assert said.ranks == "The 5 seeds do not agree on the top segments; ranks 1 to 2 are tied."


def test_one_seed_says_nothing_about_stability():
    said = judged(stable_top=None)
    assert said == Verdict(
        "doubtful", ("Only one seed drew masks, so it is not known whether others agree.",)
    )


def test_two_seeds_agree_too_easily():
    said = judged(stable_top=replace(STABLE, repeats=2, chance=0.2137))
    assert said.word == "doubtful"
    assert said.doubts == (
        "2 seeds are too few for 12 segments: random rankings agree on some top with probability 0.21; "
        "trust.seeds=3 would do.",
    )


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ({"r2": 0.2, "r2_without_penalty": 0.2}, "explains only 20% of the effect"),
        (
            {"r2": 0.2},
            "20% because lime.alpha shrinks its coefficients; without a penalty it explains 90%",
        ),
        (
            {"r2": 0.4, "r2_without_penalty": 0.4, "r2_in_float32": 0.7},
            "40% because bfloat16 rounds; in float32 (classifier.precision) it explains 70%",
        ),
        ({"r2_by_chance": None}, "With only 3 segments every classifier looks linear"),
        ({"r2_by_chance": 0.3}, "Outputs without any structure reach an R² of 0.90, too (p 0.30)."),
        ({"probability": 0.03}, "gives the class only 3.0%"),
        ({"coefficients": np.array([-0.2, -0.1])}, "No segment supports the class."),
        (
            {"curves": {"insertion": curve(19, 20)}},
            "insertion curve the ranking beats only 19 of 20 other orders (p 0.095).",
        ),
    ],
)
def test_each_control_can_make_it_doubtful(control, said):
    found = judged(**control)
    assert found.word == "doubtful"
    assert len(found.doubts) == 1 and said in found.doubts[0]


def test_a_curve_counts_only_where_there_are_enough_orders():
    assert judged(curves={"deletion": curve(20, 20)}).word == "stable"
    # Three segments have five other orders: no ranking can be better than chance, and none is blamed.
    assert judged(curves={"deletion": curve(4, 5)}).word == "stable"


def test_what_never_changes_is_unstable():
    found = judged(r2=float("nan"))
    assert found.word == "unstable" and found.ranks == ""
    assert "does not change whatever is switched off" in found.doubts[0]
