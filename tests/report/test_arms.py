"""Runs that differ in the seed alone, told together."""

import pytest

from qa_research.report.arms import arms_of, mean_over_runs
from qa_research.report.comparison import read_report
from tests.fake_runs import CONFIG, write_run

METRIC = "val/exact_match"


def sources_of(tmp_path, *changes, right=((1.0, 0.0),)):
    folders = [
        write_run(
            tmp_path,
            n,
            right=list(right[(n - 1) % len(right)]),
            config={"seed": n, "model": CONFIG["model"] | change},
        )
        for n, change in enumerate(changes, 1)
    ]
    return read_report(folders).runs


def test_an_arm_is_what_differs_in_nothing_but_the_seed(tmp_path):
    assert arms_of(sources_of(tmp_path, {}, {"lr": 0.5}, {}, {"lr": 0.5})) == [[0, 2], [1, 3]]


def test_the_mean_over_seeds_is_that_of_the_runs_scores(tmp_path):
    # 29, 31 and 33 % of 100 questions: the worked example of the docstring.
    right = [[1.0] * n + [0.0] * (100 - n) for n in (29, 31, 33)]
    first = sources_of(tmp_path, {}, {}, {}, right=right)[0]
    found = {
        of: mean_over_runs(first, [0, 1, 2], METRIC, "all", of)
        for of in ("mean", "low", "high", "least", "greatest")
    }
    assert found["mean"] == pytest.approx(31)
    assert (found["least"], found["greatest"]) == pytest.approx((29, 33))
    assert (found["low"], found["high"]) == (
        pytest.approx(26.03, abs=0.01),
        pytest.approx(35.97, abs=0.01),
    )
