"""The same change of several runs."""

from dataclasses import replace

import numpy as np
import pytest

from qa_research.interventions.what_if.effects import Reached, StepEffect, WhatIf
from qa_research.interventions.what_if.figure import over_runs_figure, what_if_figure
from qa_research.interventions.what_if.over_runs import over_runs
from qa_research.interventions.what_if.show import show_over_runs
from tests.figures.drawn import collisions

METRIC = {
    "name": "val/exact_match",
    "label": "exact match",
    "short": "EM",
    "better": "higher",
    "scale": 100.0,
    "per_example": "exact_match",
}


def effect(step, change, random, before=50.0):
    scores = tuple(before + one for one in random)
    far = sum(abs(one) >= abs(change) for one in random)
    return StepEffect(step, before, before + change, change, -1.0, 1.0, 0.5, scores, far, None)


def what_if(name, changes, random, changed=72):
    effects = tuple(
        effect(step, change, own)
        for step, change, own in zip((60, 72), changes, random, strict=True)
    )
    reached = Reached(50.0, 60, changed, (60,), None)
    return WhatIf(
        run=name,
        first=48,
        until=72,
        changed="heads.3.9 silent in steps 49 to 72",
        random_words="1 set",
        examples=100,
        example_name="questions",
        metric=METRIC,
        effects={"all": effects, "match": effects, "lookup": effects},
        reached=dict.fromkeys(("all", "match", "lookup"), reached),
        exact=True,
        compared=2,
        seconds=1.0,
        notes=(),
    )


def test_the_example_of_the_docstring():
    found = over_runs(
        [
            what_if("a/s1", (0.0, -10.0), ((0.0,), (1.0,))),
            what_if("a/s2", (0.0, -8.0), ((0.0,), (-2.0,)), changed=None),
        ]
    )
    first, last = found.effects["match"]
    assert (first.mean, first.p) == (0.0, 1.0)
    assert (last.changes, last.mean, last.p) == ((-10.0, -8.0), -9.0, 0.25)
    assert [one.delay for one in found.reached["match"]] == [12, None]


def test_what_no_random_change_does_in_any_run_is_rare():
    rng = np.random.default_rng(2)
    random = [tuple(rng.normal(0, 1, 20)) for _ in range(5)]
    far = over_runs(
        [what_if(f"a/s{n}", (0.0, -9.0), ((0.0,), own)) for n, own in enumerate(random)]
    )
    assert far.effects["match"][1].p < 1e-3
    # A change that is one of many is not.
    near = over_runs(
        [what_if(f"a/s{n}", (0.0, own[0]), ((0.0,), own)) for n, own in enumerate(random)]
    )
    assert near.effects["match"][1].p > 0.05


def test_runs_that_were_asked_otherwise_are_not_put_together():
    one = what_if("a/s1", (0.0, -1.0), ((0.0,), (1.0,)))
    other = replace(one, run="b/s1", effects={"all": one.effects["all"]})
    with pytest.raises(ValueError, match="b/s1 has other kinds of questions than a/s1"):
        over_runs([one, other])
    other = replace(one, run="b/s1", metric=METRIC | {"name": "val/pearson"})
    with pytest.raises(ValueError, match="b/s1 has other metrics than a/s1"):
        over_runs([one, other])


def test_what_was_never_reached_as_it_was_is_no_delay(capsys):
    runs = [what_if(f"a/s{n}", (0.0, -9.0), ((0.0,), (1.0,))) for n in range(3)]
    never = Reached(50.0, None, 72, (60,), None)
    runs[1] = replace(runs[1], reached=dict.fromkeys(runs[1].reached, never))
    late = Reached(50.0, 60, None, (60,), None)
    runs[2] = replace(runs[2], reached=dict.fromkeys(runs[2].reached, late))
    show_over_runs(over_runs(runs), METRIC)
    assert "Steps later: +12, not reached as it was, never" in capsys.readouterr().out


def test_it_is_told_and_drawn(capsys):
    runs = [what_if(f"a/s{n}", (0.0, -9.0), ((0.0,), (1.0,))) for n in range(3)]
    found = over_runs(runs)
    show_over_runs(found, METRIC)
    shown = capsys.readouterr().out
    assert "Over 3 runs: change of exact match" in shown and "Steps later: +12, +12, +12" in shown
    assert "72  -9.0  -9.0  -9.0  -9.0  0.125" in shown
    assert collisions(over_runs_figure(runs)) == []


def test_the_legend_of_one_kind_stays_within_its_figure():
    one = what_if("a/s1", (0.0, -9.0), ((0.0,), (1.0,)))
    effects = tuple(replace(effect, bound=20.0) for effect in one.effects["all"])
    alone = replace(one, effects={"all": effects}, reached={"all": one.reached["all"]})
    assert collisions(what_if_figure(alone)) == []
    assert collisions(over_runs_figure([alone] * 5)) == []
