"""The tree of calls from a function down."""

from dataclasses import replace

import pytest

from qa_research.stacks.tree import START, call_tree, tree_json, tree_lines, without_wrappers
from tests.stacks.recordings import (
    BACKWARD,
    CALL,
    DROPOUT,
    FIT,
    FORWARD,
    HOOK,
    LINEAR,
    LOOP,
    QUERY,
    STEP,
    VALUE,
    make_recording,
)

SAMPLES = make_recording().samples


def test_the_trainers_tree_has_each_call_with_its_share_and_no_wrapper():
    tree = call_tree(SAMPLES, START, has_wrappers=False)
    lines = tree_lines(tree, None, 0.01, is_whole=False)
    assert [(line.branch, line.chain) for line in lines] == [
        ("", "fit → advance"),
        ("├ ", "_engine_run_backward"),
        ("├ ", "training_step"),
        ("│ ├ ", "forward"),
        ("│ │ ├ ", "forward"),
        ("│ │ └ ", "dropout"),
        ("│ └ ", "forward → forward"),
        ("└ ", "__next__"),
    ]
    assert [line.frame for line in lines[:3]] == [FIT, BACKWARD, STEP]
    # The line of a chain's first call tells two calls of the same function apart.
    assert {lines[3].frame, lines[6].frame} == {QUERY, VALUE}
    of_fit = [s for s in SAMPLES if FIT in s.stack]
    assert tree.share.right == len(of_fit) and lines[0].share == 1.0
    assert lines[1].share == sum(BACKWARD in s.stack for s in of_fit) / len(of_fit)


def test_every_frame_is_shown_when_it_is_asked_for():
    lines = tree_lines(call_tree(SAMPLES, START, has_wrappers=True), None, 0.01, is_whole=True)
    assert [line.frame for line in lines[:3]] == [FIT, HOOK, LOOP]


def test_depth_and_the_smallest_share_limit_the_tree():
    tree = call_tree(SAMPLES, "training_step", has_wrappers=False)
    assert [line.chain for line in tree_lines(tree, 1, 0.01, False)] == ["training_step"]
    lines = tree_lines(tree, 2, 0.5, is_whole=False)
    assert [line.chain for line in lines] == ["training_step", "forward"]
    # What is too small alone is summed up if it is large enough together.
    *_, summed = tree_lines(call_tree(SAMPLES, START, False), 2, 0.48, is_whole=False)
    assert summed.chain == "smaller calls: _engine_run_backward, training_step, __next__"
    assert summed.frame is None and summed.share == 1.0


def test_a_function_is_found_by_its_name_or_with_its_file():
    assert call_tree(SAMPLES, "linear.py:forward", False).files == (LINEAR.file,)
    assert len(call_tree(SAMPLES, "forward", False).files) == 1
    with pytest.raises(ValueError, match="has a function droput; did you mean dropout"):
        call_tree(SAMPLES, "droput", False)
    with pytest.raises(ValueError, match="stacks know files and no classes: trainer.py:fit"):
        call_tree(SAMPLES, "Trainer.fit", False)


def test_wrappers_are_left_out_but_for_the_ends_of_a_stack():
    assert without_wrappers((*FORWARD, QUERY, CALL)) == (*FORWARD[:2], LOOP, STEP, QUERY, CALL)
    assert without_wrappers((CALL,)) == (CALL,) and without_wrappers(()) == ()


def test_the_tree_as_json_has_own_samples_and_adds_up():
    tree = call_tree(SAMPLES, "training_step", has_wrappers=False)
    (step,) = tree_json(tree.calls, tree.share.right)
    assert step["samples"] == step["own_samples"] + sum(call["samples"] for call in step["calls"])
    value = next(call for call in step["calls"] if call["line"] == VALUE.line)
    assert {call["function"] for call in value["calls"]} == {"forward", DROPOUT.function}


def test_samples_whose_outer_frames_are_missing_are_counted():
    cut = make_recording(steps=2).samples
    lost = [replace(s, stack=s.stack[2:], is_cut=True) for s in cut if FIT in s.stack]
    assert call_tree([*SAMPLES, *lost], START, False).cut == len(lost)
