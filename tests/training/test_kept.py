"""Which steps' weights are kept if nobody chose any."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.runs.checkpoints import kept_steps
from qa_research.runs.directory import read_record
from qa_research.runs.store import checkpoints_of
from qa_research.signals import Stopped
from qa_research.training.kept import how_many, kept_until
from tests.tiny_run import train
from tests.training.reading import digest, directory_of
from tests.training.signalling import Plan, Signalling


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Signalling.follow()


def test_ten_steps_of_a_small_model_fewer_of_a_larger_one_none_of_a_large_one():
    sizes = {8e6: 10, 20e6: 10, 21e6: 9, 91e6: 2, 101e6: 0, 438e6: 0}
    assert {size: how_many(int(size), 200.0) for size in sizes} == sizes
    assert how_many(1, None) == 0


def test_ten_of_1276_steps():
    assert kept_until(1276, 1276, 10) == [116 * n for n in range(1, 11)]
    assert kept_until(93, 1276, 10) == [14, 29, 43, 58, 72, 87]
    assert kept_until(13, 1276, 10) == []
    # Not the last step, which is last.ckpt.
    assert kept_until(11, 11, 10) == list(range(1, 11))
    assert kept_until(5, 5, 10) == [1, 2, 3, 4]
    assert kept_until(9, 9, 0) == []


@given(st.integers(1, 400), st.integers(2, 10))
def test_steps_are_kept_when_they_come_and_only_dropped_later(total, count):
    before: list[int] = []
    for step in range(1, total + 1):
        kept = kept_until(step, total, count)
        assert len(kept) <= count and set(kept) <= {*before, step}
        gaps = {later - earlier for earlier, later in itertools.pairwise(kept)}
        assert max(gaps, default=0) - min(gaps, default=0) <= 1
        before = kept
    # From half of the way on at least half of them are there.
    assert len(kept_until(total, total, count)) >= min(count, total - 1) // 2


def test_an_early_end_keeps_steps_too():
    for end in range(150, 1276):
        assert 5 <= len(kept_until(end, 1276, 10)) <= 10


def test_a_training_keeps_them_and_a_stopped_one_the_same(tiny, tmp_path):
    settings = ("model._target_=tests.training.signalling.Signalling", "trainer.max_epochs=4")
    whole = tiny(*settings, f"paths.runs={tmp_path / 'whole'}")
    train(whole)
    steps = read_record(directory_of(whole))["steps"]
    expected = kept_until(steps, steps, 10)
    names = checkpoints_of(directory_of(whole))
    assert names == ["best", "last", *map(str, expected)] and len(expected) > 5
    assert kept_steps(directory_of(whole)) == [*map(str, expected), "last"]
    config = tiny(*settings)
    Signalling.follow(Plan("training", 17, 15))
    with pytest.raises(Stopped):
        train(config)
    Signalling.follow()
    train(config)
    assert checkpoints_of(directory_of(config)) == names
    for step in expected:
        file = f"checkpoints/step-{step:06d}.ckpt"
        assert digest(directory_of(config) / file) == digest(directory_of(whole) / file)


@pytest.mark.parametrize(
    ("word", "said", "kept"),
    [
        ("checkpoint.keep_weights_mb=0.01", "the weights of single steps are not kept: 2 of", []),
        ("checkpoint.keep_weights_mb=null", "are free", []),
        ("checkpoint.keep_every_n_steps=3", "more every 3 steps", ["3", "6"]),
        ("checkpoint.keep_weights_mb=1", "for the weights of", ["1", "2", "3", "4", "5", "6"]),
    ],
)
def test_the_choice_is_said_and_does_not_make_another_run(tiny, caplog, word, said, kept):
    config = tiny(word)
    assert directory_of(config) == directory_of(tiny())
    with caplog.at_level("INFO", "qa_research"):
        train(config)
    assert [record for record in caplog.records if said in record.getMessage()]
    found = checkpoints_of(directory_of(config))
    assert [name for name in found if name.isdecimal()] == kept
