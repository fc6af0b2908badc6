"""Two trainings compared: what grew, and what does not differ."""

from dataclasses import replace

import pytest

from qa_research.stacks.comparing import compare_stacks, points
from tests.stacks.recordings import BACKWARD, DROPOUT, MAIN, NEXT, SHARES, chosen, make_recording

SLOW = {"query": 0.1, "value": 0.1, "dropout": 0.05, "backward": 0.25, "wait": 0.5}
FIRST = chosen(make_recording(steps=60), name="demo/fast")
SECOND = chosen(make_recording(SLOW, steps=60, seed=2), name="demo/slow")


def test_a_planted_slow_loader_grows_and_stands_in_the_verdict():
    compared = compare_stacks(FIRST, SECOND, 0.01)
    phases = dict(compared.phases)
    assert list(phases) == [
        *("starting Python", "imports", "waiting for data", "forward", "backward")
    ]
    waiting = phases["waiting for data"]
    # 60 of 64 s are steps, so the shares are 0.1 and 0.5 times 60 / 64.
    assert waiting.is_significant and waiting.change.low < 0.4 * 60 / 64 < waiting.change.high
    assert not phases["imports"].is_significant
    assert compared.verdict.startswith("Waiting for data went from ")
    assert points(waiting.change) in compared.verdict
    assert compared.notes == ()


def test_seconds_of_a_step_are_those_between_the_first_and_the_last_step():
    compared = compare_stacks(FIRST, SECOND, 0.01)
    for found in compared.stepping:
        assert found.steps == 58 and found.seconds == pytest.approx(1.0, abs=0.02)
    waiting = dict(compared.phases)["waiting for data"]
    assert waiting.seconds == pytest.approx((0.1, 0.5), abs=0.06)
    assert waiting.seconds_change.low < 0.4 < waiting.seconds_change.high
    # What is no part of the steps of either has no seconds of one.
    assert dict(compared.phases)["imports"].seconds is None


def test_lines_on_the_same_stacks_are_one_line_and_the_largest_change_comes_first():
    lines = compare_stacks(FIRST, SECOND, 0.01).lines
    first = lines[0]
    assert first.frame == NEXT and first.change.is_significant and first.change.change.value > 0
    by_frame = {line.frame: line for line in lines}
    assert by_frame[BACKWARD].change.change.high < 0
    # The module, the trainer, its wrapper and the loop: one is on all stacks, three only with the loop.
    assert sum(line.around for line in lines) >= 2
    assert len(by_frame) == len(lines)


def test_a_line_that_moved_is_the_same_line():
    moved = {NEXT: replace(NEXT, line=999)}
    recording = SECOND.recordings[0]
    samples = tuple(
        replace(s, stack=tuple(moved.get(frame, frame) for frame in s.stack))
        for s in recording.samples
    )
    compared = compare_stacks(FIRST, chosen(replace(recording, samples=samples)), 0.01)
    assert compared.lines[0].frame.line == 999
    assert compared.lines[0].change.first.right > 0


def test_another_checkout_of_the_program_has_the_same_lines():
    recording = make_recording(steps=60, seed=5)
    elsewhere = replace(MAIN, file="branch/train.py")
    samples = tuple(
        replace(s, stack=tuple(elsewhere if frame == MAIN else frame for frame in s.stack))
        for s in recording.samples
    )
    compared = compare_stacks(FIRST, chosen(replace(recording, samples=samples)), 0.01)
    assert not any(line.change.is_significant for line in compared.lines)


def test_equal_trainings_have_no_change():
    same = chosen(make_recording(steps=60, seed=5), name="demo/same")
    compared = compare_stacks(FIRST, same, 0.01)
    assert not any(line.change.is_significant for line in compared.lines)
    assert "No phase's share differs" in compared.verdict


def test_rare_lines_are_not_tested():
    frames = [line.frame for line in compare_stacks(FIRST, SECOND, 0.2).lines]
    assert DROPOUT not in frames and BACKWARD in frames


def test_what_cannot_be_compared_is_said():
    ranks = chosen(*(make_recording(rank=rank, seed=rank + 3) for rank in (0, 1)), name="demo/two")
    compared = compare_stacks(FIRST, ranks, 0.01)
    assert compared.notes == ("Only demo/two has rank 1, which is left out.",)
    assert compared.samples[1] == len(ranks.recordings[0].samples)

    recording = make_recording(SHARES, steps=60, seed=3)
    late = replace(recording, from_s=6.0, samples=tuple(s for s in recording.samples if s.at_s > 6))
    compared = compare_stacks(FIRST, chosen(late, name="demo/late"), 0.01)
    assert "demo/late was not sampled from its start" in compared.notes[0]
    assert "imports" not in dict(compared.phases)

    stepless = replace(recording, samples=tuple(replace(s, step=None) for s in recording.samples))
    compared = compare_stacks(FIRST, chosen(stepless, name="demo/no steps"), 0.01)
    assert "demo/no steps shows fewer than two steps" in compared.notes[0]
    assert all(change.seconds is None for _, change in compared.phases)

    old = replace(
        recording, samples=tuple(replace(s, phase="train_step") for s in recording.samples)
    )
    compared = compare_stacks(FIRST, chosen(old, name="demo/old"), 0.01)
    assert compared.phases == () and "phases are not compared" in compared.notes[0]
    assert "only lines of code are compared" in compared.verdict


def test_stacks_that_were_cut_are_said():
    recording = make_recording(steps=30)
    cut = tuple(replace(s, is_cut=s.phase == "forward") for s in recording.samples)
    compared = compare_stacks(FIRST, chosen(replace(recording, samples=cut), name="demo/cut"), 0.01)
    assert "of the stacks of demo/cut were cut" in compared.notes[0]
