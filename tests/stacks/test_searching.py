"""Looking for a text in stacks."""

import pytest

from qa_research.stacks.searching import search_stacks
from tests.stacks.recordings import DROPOUT, LINEAR, QUERY, VALUE, make_recording

SAMPLES = make_recording().samples


def test_each_sample_that_has_the_text_counts_once():
    found = search_stacks(SAMPLES, "DropOut")
    expected = sum(DROPOUT in sample.stack for sample in SAMPLES)
    assert (found.share.right, found.share.asked) == (expected, len(SAMPLES))
    assert [(share.phase, share.value) for share in found.phases] == [("forward", 1.0)]
    (line,) = found.lines
    assert line.frame == DROPOUT and line.callers == ((VALUE, expected),)


def test_a_caller_does_more_than_pass_a_call_on():
    (line,) = search_stacks(SAMPLES, "linear.py").lines
    assert line.frame == LINEAR and {frame for frame, _ in line.callers} == {QUERY, VALUE}
    assert sum(count for _, count in line.callers) == line.share.right


def test_files_functions_and_source_lines_are_searched():
    assert search_stacks(SAMPLES, "autograd/graph.py").share.right
    assert search_stacks(SAMPLES, "self.query(").lines[0].frame == QUERY
    assert {share.phase for share in search_stacks(SAMPLES, "train").phases} > {
        "imports",
        "backward",
    }


def test_what_only_other_threads_do_is_told_apart():
    found = search_stacks(SAMPLES, "waiter.acquire")
    assert found.share.right == 0 and found.in_others == len(SAMPLES) and found.lines == ()
    assert 0 < found.share.high < 0.02


def test_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="the text to look for is empty"):
        search_stacks(SAMPLES, "  ")
