"""Training without some examples: what their places are taken by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.streams import stream
from qa_research.tasks.batches import TrainingBatches, batch_order
from qa_research.tasks.left_out import Edits, LeftOut, check_some_remain, left_of, which_of

LENGTHS = stream(0, "lengths").integers(10, 300, 400)
EXAMPLE = [np.array(batch) for batch in ([6, 3], [5, 0], [4, 2], [1])]
FIVE_AND_FOUR = np.isin(np.arange(7), [5, 4])


def plain(batches):
    return [batch.tolist() for batch in batches]


def test_the_worked_example():
    assert plain(LeftOut(FIVE_AND_FOUR, "empty").applied(EXAMPLE, 0)) == [[6, 3], [0], [2], [1]]
    moved = [[6, 3], [0, 2], [1, 6], [3]]
    assert plain(LeftOut(FIVE_AND_FOUR, "next").applied(EXAMPLE, 0)) == moved
    assert plain(LeftOut(FIVE_AND_FOUR, "next", (0, 1)).applied(EXAMPLE, 0)) == moved
    # Those of the past stay: 5 was trained on in the second batch.
    later = LeftOut(FIVE_AND_FOUR, "next", (0, 2)).applied(EXAMPLE, 0)
    assert plain(later) == [[6, 3], [5, 0], [2, 1], [6]]


@given(
    st.integers(1, 400),
    st.integers(1, 9),
    st.sampled_from(["empty", "next"]),
    st.integers(0, 2),
    st.integers(0, 30),
    st.sets(st.integers(0, 399), max_size=60),
)
def test_places_and_order_of_the_others_stay(count, size, holes, epoch, since, out):
    which = np.isin(np.arange(count), sorted(out))
    if which.all():
        return
    order = batch_order(LENGTHS[:count], size, 1, epoch, 1)
    served = LeftOut(which, holes, (1, since)).applied(order, epoch)
    assert len(served) == len(order)
    before = len(order) if epoch < 1 else since if epoch == 1 else 0
    assert plain(served[:before]) == plain(order[:before])
    after = [i for batch in served[before:] for i in batch]
    assert not which[after].any()
    kept = [i for batch in order[before:] for i in batch if not which[i]]
    assert after[: len(kept)] == kept
    if holes == "empty":
        assert after == kept
    else:
        assert [len(batch) for batch in served] == [len(batch) for batch in order]


@given(st.integers(1, 3), st.integers(0, 40), st.sampled_from(["empty", "next"]))
def test_processes_share_what_is_left_and_a_resumed_one_goes_on(world, done, holes):
    lengths, out = LENGTHS[:100], np.isin(np.arange(100), [3, 50, 51, 52, 53])

    def served(rank, skipped=0):
        left = LeftOut(out, holes, (0, 4))
        batches = TrainingBatches(lengths, 4, 7, rank, world, left_out=left)
        batches.start_at(0, skipped)
        return list(batches)

    order = batch_order(lengths, 4, 7, 0, world)
    expected = LeftOut(out, holes, (0, 4)).applied(order, 0)
    of_ranks = [served(rank) for rank in range(world)]
    for number, batch in enumerate(expected):
        for rank in range(world):
            own = batch[rank::world].tolist()
            # One without a share is served an example, which weighs nothing.
            assert of_ranks[rank][number] == (own or [order[number][0]])
    assert served(0, done) == of_ranks[0][done:]


def test_who_is_meant():
    assert which_of(["a", "b", "a"], ["a"], "data.without").tolist() == [True, False, True]
    assert which_of(["1", "2"], [2], "data.without").tolist() == [False, True]
    with pytest.raises(
        ValueError, match=r"data.only: question-7 .and 1 more. is not .*mean question-1\?"
    ):
        which_of(["question-1"], ["question-7", "x"], "data.only")


def test_something_remains():
    # One of two windows of a question is the question.
    assert left_of(["a", "b", "a"], np.array([True, False, True])) == (1, 2)
    check_some_remain(1, 2, is_only=False)
    with pytest.raises(ValueError, match="leaves out 2 of 3 training examples, more than half"):
        check_some_remain(2, 3, is_only=False)
    check_some_remain(2, 3, is_only=True)
    with pytest.raises(ValueError, match="no training example is left"):
        check_some_remain(1, 1, is_only=True)


def test_edits_that_contradict_each_other():
    with pytest.raises(ValueError, match="data.without and data.only exclude each other"):
        Edits(without=["a"], only=["b"]).check()
    with pytest.raises(ValueError, match="data.holes=next says what becomes of the places"):
        Edits(holes="next").check()
