"""Comparing two runs on the same questions: by hand, by property, and against theory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from qa_research.runs.compare import Comparison, Shares
from qa_research.runs.compare import compare as compare_by
from qa_research.runs.compare import verdict as verdict_on
from qa_research.stats import holm, mcnemar, mean_intervals, sign_flips
from qa_research.tasks.earlier_configs import ANSWERING

SHARES = st.lists(
    st.tuples(*[st.sampled_from([0.0, 0.4, 2 / 3, 1.0])] * 2), min_size=1, max_size=40
)


METRICS = ANSWERING["metrics"]
EXACT, F1 = 0, 1


def scores(
    f1: list[float], exact: list[float] | None = None, paragraphs: list[int] | None = None
) -> Shares:
    exact = [float(value == 1) for value in f1] if exact is None else exact
    values = {"exact_match": np.array(exact), "f1": np.array(f1)}
    groups = np.arange(len(f1)) if paragraphs is None else np.array(paragraphs)
    return Shares([f"q{i}" for i in range(len(f1))], values, groups)


def compare(first: Shares, others: list[Shares]) -> list[Comparison]:
    return compare_by(first, others, METRICS)


def verdict(comparison: Comparison, first: str, second: str) -> str:
    return verdict_on(comparison, first, second, "questions")


def two_runs(both: int, only_first: int, only_second: int, neither: int = 0):
    first = [1.0] * (both + only_first) + [0.0] * (only_second + neither)
    second = [1.0] * both + [0.0] * only_first + [1.0] * only_second + [0.0] * neither
    return scores(first), scores(second)


def test_mcnemar_by_hand():
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 5) == mcnemar(5, 0) == pytest.approx(2 / 32)
    # Binomial(10, 1/2): 2 * (1 + 10 + 45) / 1024.
    assert mcnemar(2, 8) == pytest.approx(2 * 56 / 1024)
    assert mcnemar(4, 4) == 1


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_twice_the_smaller_binomial_tail(only_first, only_second):
    tail = binom.cdf(min(only_first, only_second), only_first + only_second, 0.5)
    assert mcnemar(only_first, only_second) == pytest.approx(min(1, 2 * tail))


def test_a_comparison_by_hand():
    first, second = two_runs(both=50, only_first=10, only_second=30, neither=10)
    (found,) = compare(first, [second])
    assert (found.total, found.only_first, found.only_second) == (100, 10, 30)
    assert found.differences[EXACT].points == pytest.approx(20)
    assert found.differences[EXACT].p == mcnemar(10, 30)
    # Both metrics are one family, and the p of both are equal here.
    assert found.differences[EXACT].p_holm == pytest.approx(2 * mcnemar(10, 30))
    # Normal theory: 20 +- 1.96 * sqrt(0.4 - 0.2 ** 2) / 10 * 100 points.
    assert found.differences[EXACT].low == pytest.approx(20 - 11.8, abs=1.5)
    assert found.differences[EXACT].high == pytest.approx(20 + 11.8, abs=1.5)
    assert found.differences[F1].p == mcnemar(10, 30)


@given(SHARES)
def test_the_other_way_round_is_the_same_with_the_other_sign(pairs):
    first, second = scores([a for a, _ in pairs]), scores([b for _, b in pairs])
    (there,), (back,) = compare(first, [second]), compare(second, [first])
    assert there.only_first == back.only_second
    for one, other in zip(there.differences, back.differences, strict=True):
        assert one.low <= one.points + 1e-9 and one.points <= one.high + 1e-9
        assert (one.points, one.p) == (pytest.approx(-other.points), pytest.approx(other.p))
        # Up to the chance in the ends of an interval.
        assert one.low == pytest.approx(-other.high, abs=0.05 * (one.high - one.low))


@given(SHARES)
def test_a_run_is_equal_to_itself(pairs):
    run = scores([a for a, _ in pairs])
    (found,) = compare(run, [run])
    difference = found.differences[F1]
    assert (difference.points, difference.p, difference.p_holm) == (0, 1, 1)
    # No difference on these questions does not say that there is none on others.
    most = 100 * (1 - 0.025 ** (1 / len(run.ids)))
    assert (difference.low, difference.high) == pytest.approx((-most, most), rel=0.05)
    assert verdict(found, "A", "B") == f"A and B score equally on these {len(run.ids)} questions."


def test_intervals_cover_the_true_difference_about_95_times_in_100():
    rng = np.random.default_rng(1)
    # Differences of -1, 0, 1 with a mean of 0.1, as between two runs on 150 questions.
    trials = rng.choice([-1.0, 0.0, 1.0], p=[0.15, 0.6, 0.25], size=(200, 1, 150))
    found = [mean_intervals(trial, (-1.0, 1.0), None)[0] for trial in trials]
    inside = [interval.low <= 0.1 <= interval.high for interval in found]
    assert 0.90 <= np.mean(inside) <= 0.99


def test_equals_are_called_different_about_5_times_in_100():
    rng = np.random.default_rng(2)
    trials = rng.choice([-0.5, 0.0, 0.5, 1.0, -1.0], size=(200, 60))
    assert 0.01 <= np.mean([sign_flips(trial) < 0.05 for trial in trials]) <= 0.10


@pytest.mark.parametrize(("questions", "p"), [(1, 1), (2, 1 / 2), (5, 1 / 16)])
def test_few_questions_prove_nothing(questions, p):
    (found,) = compare(scores([0.0] * questions), [scores([1.0] * questions)])
    assert found.differences[F1].p == pytest.approx(p, abs=0.02)
    assert found.differences[EXACT].p == pytest.approx(p)
    assert "cannot be distinguished" in verdict(found, "A", "B")


def test_equal_input_gives_equal_intervals():
    first, second = two_runs(30, 10, 20)
    assert compare(first, [second]) == compare(first, [second])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.04]) == [0.04] and holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_never_goes_below(p_values):
    corrected = holm(p_values)
    ranked = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [corrected[i] for i in ranked] == sorted(corrected)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))


def test_several_comparisons_are_corrected_for_their_number():
    first, second = two_runs(50, 5, 18)
    alone = compare(first, [second])[0].differences[EXACT]
    together = compare(first, [second, second, first])[0].differences[EXACT]
    assert alone.p == together.p < 0.05
    # Two metrics of one run, and of three.
    assert alone.p_holm == pytest.approx(2 * alone.p) and together.p_holm == pytest.approx(
        6 * alone.p
    )
    assert "B is better" in verdict(compare(first, [second])[0], "A", "B")
    judged = verdict(compare(first, [second, second, first])[0], "A", "B")
    assert judged.startswith("A and B cannot be distinguished") and "after Holm" in judged


def test_the_verdict_says_who_by_how_much_and_how_sure():
    first, second = two_runs(both=500, only_first=100, only_second=200, neither=434)
    judged = verdict(compare(first, [second])[0], "A", "B")
    assert judged.startswith(
        "B is better in exact match and F1 on these 1,234 questions. B against A"
    )
    assert "exact match +8.1 points [+5." in judged and "(p < 0.001; only one correct" in judged
    assert "only one correct: B 200, A 100" in judged
    assert verdict(compare(second, [first])[0], "A", "B").startswith("A is better in exact match")


def test_the_verdict_tells_the_two_measures_apart():
    exact = [1.0] * 10 + [0.0] * 90
    first, second = scores([0.2] * 100, exact), scores([0.4] * 100, exact)
    judged = verdict(compare(first, [second])[0], "A", "B")
    assert judged.startswith("B is better in F1 on these 100 questions; in exact match they cannot")
    first = scores([0.9] * 100, [1.0] * 20 + [0.0] * 80)
    second = scores([0.5] * 100, [1.0] * 60 + [0.0] * 40)
    judged = verdict(compare(first, [second])[0], "A", "B")
    assert judged.startswith("B is better in exact match, A in F1, on these 100 questions")


def test_other_questions_cannot_be_compared():
    first, second = two_runs(1, 1, 1)
    for ids in (["q1", "q2", "q3"], ["q2", "q1", "q0"]):
        others = Shares(ids, second.values, second.groups)
        with pytest.raises(ValueError, match="the same examples in the same order"):
            compare(first, [others])
    with pytest.raises(ValueError):
        compare(scores([]), [scores([])])


def test_ten_thousand_questions_take_bounded_memory():
    import tracemalloc

    rng = np.random.default_rng(3)
    differences = rng.normal(size=(2, 10_000))
    tracemalloc.start()
    mean_intervals(differences, (-9.0, 9.0), np.arange(10_000) // 2)
    sign_flips(differences[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_a_difference_in_one_measure_must_hold_among_both():
    """Either p alone is below 5 %, but one of two is so more often than 5 times in 100."""
    first, second = two_runs(50, 5, 15)
    (found,) = compare(first, [second])
    assert 0.025 < found.differences[EXACT].p < 0.05 < found.differences[EXACT].p_holm
    assert verdict(found, "A", "B").startswith("A and B cannot be distinguished")


def test_questions_about_one_paragraph_are_flipped_together():
    # 24 more right answers, in six paragraphs of four questions each.
    paragraphs = [i // 4 for i in range(400)]
    first, second = [0.0] * 400, [1.0] * 24 + [0.0] * 376
    (alone,) = compare(scores(first), [scores(second)])
    (found,) = compare(scores(first, None, paragraphs), [scores(second, None, paragraphs)])
    assert alone.differences[F1].p == pytest.approx(2 * 0.5**24)
    assert found.differences[F1].p == found.differences[EXACT].p == pytest.approx(2 * 0.5**6)
    assert found.differences[F1].wider == pytest.approx(2, rel=0.25)
    said = verdict(found, "A", "B")
    assert "times as wide as if the questions were independent." in said
    assert "independent" not in verdict(alone, "A", "B")


def test_paragraphs_are_known_if_one_of_the_two_runs_says_them():
    paragraphs = [0, 0, 1, 1]
    new = scores([1.0, 1.0, 0.0, 0.0], None, paragraphs)
    old = Shares(new.ids, scores([0.0] * 4).values, None)
    (found,) = compare(old, [new])
    assert found.differences[F1].p == 1 and found.differences[F1].wider is not None
    (neither,) = compare(old, [Shares(new.ids, new.values, None)])
    assert neither.differences[F1].wider is None
    assert "do not say which questions belong together" in verdict(neither, "A", "B")
