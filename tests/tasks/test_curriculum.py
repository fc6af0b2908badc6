"""Easy examples first: how many take part when, and that an epoch is a pure function of its causes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.streams import stream
from qa_research.tasks.batches import TrainingBatches, batch_order
from qa_research.tasks.curriculum import Curriculum, easy_first

COUNT = 3001
LENGTHS = stream(0, "lengths").integers(10, 300, COUNT)
DIFFICULTY = stream(0, "difficulty").permutation(COUNT).astype(float)


def test_the_share_is_that_of_the_worked_example():
    curriculum = Curriculum(DIFFICULTY, 1.0)
    shares = [curriculum.share(epoch) for epoch in (0, 0.25, 0.5, 1, 7)]
    assert shares == pytest.approx([0.1, 0.5074, 0.7106, 1, 1], abs=1e-4)


def test_forty_examples_are_served_as_the_worked_example_says():
    curriculum = Curriculum(np.arange(40.0), 1.0)
    batches = easy_first(curriculum, [5] * 40, 2, seed=1, epoch=0)
    first, second = (np.concatenate(batches[i : i + 10]).tolist() for i in (0, 10))
    assert [first.count(i) for i in range(40)] == [5] * 4 + [0] * 36
    assert len(set(second)) == 20 and max(second) <= 28


def test_all_that_are_equally_hard_take_part_together():
    curriculum = Curriculum(np.array([3.0] * 5 + [4.0] * 5 + [5.0] * 90), 1.0)
    # The easiest two of a hundred are three-fact examples, of which there are five.
    assert curriculum.taking_part(0.02).tolist() == [0, 1, 2, 3, 4]
    assert curriculum.taking_part(0.06).tolist() == list(range(10))
    assert len(curriculum.taking_part(1.0)) == 100


@given(
    st.integers(1, 200),
    st.integers(1, 9),
    st.integers(0, 3),
    st.floats(0.1, 4),
    st.integers(0, 1),
    st.integers(1, 3),
)
def test_sizes_are_those_without_a_curriculum_and_known_beforehand(
    count, batch_size, epoch, epochs, first_epoch, world_size
):
    lengths, difficulty = LENGTHS[:count], DIFFICULTY[:count]
    settings = (lengths, batch_size, 3, epoch, world_size)
    order = batch_order(*settings, Curriculum(difficulty, epochs, first_epoch))
    sizes = [len(batch) for batch in order]
    assert sorted(sizes) == sorted(len(batch) for batch in batch_order(*settings))
    unknown = batch_order(*settings, Curriculum(np.zeros(count), epochs, first_epoch))
    assert sizes == [len(batch) for batch in unknown]


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_only_those_that_take_part_are_served_and_none_twice_before_all_once(epoch):
    curriculum = Curriculum(DIFFICULTY, 3.0)
    order = easy_first(curriculum, LENGTHS, 16, 1, epoch)
    for begin in range(0, len(order), 10):
        served = np.concatenate(order[begin : begin + 10])
        part = curriculum.taking_part(curriculum.share(epoch + 16 * begin / COUNT))
        assert set(served.tolist()) <= set(part.tolist())
        times = np.bincount(served, minlength=COUNT)[part]
        assert times.max() - times.min() <= 1


def test_what_a_stage_serves_is_no_longer_or_shorter_than_what_takes_part():
    # All are equally hard, and a stage serves 160 of them.
    order = easy_first(Curriculum(np.zeros(COUNT), 1.0), LENGTHS, 16, 1, 0)
    for begin in range(0, len(order) - 10, 10):
        served = LENGTHS[np.concatenate(order[begin : begin + 10])]
        assert abs(served.mean() - LENGTHS.mean()) < 4 * LENGTHS.std() / np.sqrt(len(served))


def test_a_batch_has_no_example_twice_where_there_are_enough():
    order = easy_first(Curriculum(DIFFICULTY[:400], 1.0), LENGTHS[:400], 8, 1, 0)
    assert all(len(set(batch.tolist())) == len(batch) for batch in order)


def test_when_it_is_over_epochs_are_those_of_any_training():
    for first_epoch, ordered in ((0, [0, 1]), (1, [1, 2])):
        curriculum = Curriculum(DIFFICULTY, 1.5, first_epoch)
        for epoch in range(4):
            settings = (LENGTHS, 16, 1, epoch, 1)
            pairs = zip(batch_order(*settings, curriculum), batch_order(*settings), strict=True)
            same = [np.array_equal(*pair) for pair in pairs]
            assert all(same) == (epoch not in ordered)


def test_stages_have_batches_of_like_lengths():
    order = easy_first(Curriculum(DIFFICULTY, 1.0), LENGTHS, 16, 1, 0)
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in order)
    tokens = sum(LENGTHS[batch].sum() for batch in order)
    assert padded < 1.2 * tokens


def test_processes_share_each_global_batch():
    curriculum = Curriculum(DIFFICULTY, 1.0)
    whole = batch_order(LENGTHS, 8, 1, 0, 2, curriculum)
    shares = [
        list(TrainingBatches(LENGTHS, 8, 1, rank, 2, lambda _: curriculum)) for rank in (0, 1)
    ]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(sum(parts, [])) == sorted(batch.tolist())


def test_it_depends_on_seed_epoch_and_difficulties_alone():
    settings = (Curriculum(DIFFICULTY, 2.0), LENGTHS, 16)

    def flat(*rest):
        return np.concatenate(easy_first(*settings, *rest)).tolist()

    assert flat(1, 0) == flat(1, 0)
    assert len({tuple(flat(*rest)) for rest in ((1, 0), (2, 0), (1, 1))}) == 3
    other = easy_first(Curriculum(-DIFFICULTY, 2.0), LENGTHS, 16, 1, 0)
    assert np.concatenate(other).tolist() != flat(1, 0)
