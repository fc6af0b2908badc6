"""What a change did over the steps."""

import numpy as np
import pytest

from qa_research.interventions.what_if.effects import effect_at, reached_of
from qa_research.tasks.scoring import by_kind

METRIC = {
    "name": "val/exact_match",
    "label": "exact match",
    "short": "EM",
    "better": "higher",
    "per_example": "exact_match",
    "scale": 100.0,
}


def columns(*right):
    return {"exact_match": np.array(right, dtype=np.float64)}


def effect(step, before, after, *random, bound=None):
    """Of a hundred examples, of which so many are right."""
    own = [columns(*([1] * right + [0] * (100 - right))) for right in (before, after, *random)]
    last = None if bound is None else columns(*([1] * bound + [0] * (100 - bound)))
    return effect_at(step, own[0], own[1], own[2:], last, METRIC, None)


def test_a_change_is_paired_by_example_and_counted_among_random_ones():
    found = effect(60, 80, 50, 79, 81, 45, 60)
    assert (found.as_it_was, found.changed, found.change) == (80, 50, -30)
    assert found.low < -20 < found.high + 15 and found.high < 0 and found.p < 0.01
    # 45 is farther from 80 than 50 is; 60 is not.
    assert found.random == (79, 81, 45, 60) and found.as_far == 1
    assert effect(60, 80, 80, 79).as_far == 1


def test_the_worked_example_of_a_delay():
    steps = (48, 60, 72, 84)
    rows = zip(
        steps, (30, 40, 80, 98), (30, 35, 50, 90), (31, 66, 81, 97), (30, 30, 31, 33), strict=True
    )
    found = reached_of([effect(s, b, c, r, bound=w) for s, b, c, r, w in rows], None, METRIC)
    assert found.level == 64
    assert (found.as_it_was, found.changed, found.random, found.bound) == (72, 84, (60,), None)
    assert found.delay == 12 and found.as_late == 0


def test_one_that_never_comes_is_the_latest():
    effects = [effect(s, b, 30, 30, 90) for s, b in ((48, 30), (60, 90))]
    found = reached_of(effects, 85.0, METRIC)
    assert (found.as_it_was, found.changed, found.random) == (60, None, (None, 48))
    assert found.delay is None and found.as_late == 1


def test_of_a_loss_less_is_better():
    metric = METRIC | {"better": "lower", "scale": 1.0}
    effects = [
        effect_at(s, columns(b), columns(c), [columns(b)], None, metric, None)
        for s, b, c in ((1, 4.0, 4.0), (2, 1.0, 3.0), (3, 0.0, 1.0))
    ]
    found = reached_of(effects, None, metric)
    assert (found.level, found.as_it_was, found.changed) == (2.0, 2, 3)


def test_kinds():
    assert list(by_kind([{"kind": "a"}, {"kind": "b"}, {"kind": "a"}])) == ["all", "a", "b"]
    assert by_kind([{"kind": "a"}, {"kind": "b"}, {"kind": "a"}])["a"].tolist() == [0, 2]
    assert list(by_kind([{}, {}])) == ["all"]


def test_an_interval_is_of_the_difference():
    found = effect(1, 50, 60, 50)
    assert found.change == pytest.approx(10) and found.low < 10 < found.high
