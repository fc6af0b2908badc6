"""Trainings with a curriculum: what they serve, and that a stop anywhere changes nothing."""

import logging
import signal

import pytest
import torch

from qa_research.runs.directory import config_hash
from qa_research.signals import Stopped
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.module import QuestionAnswering
from qa_research.tasks.dividing import chosen
from tests.tiny_run import train
from tests.training.noting import Noting
from tests.training.reading import directory_of, result_of
from tests.training.signalling import Plan

SETTINGS = (
    "capture=none",
    "model._target_=tests.training.noting.Noting",
    "model.dropout=0.3",
    "model.warmup_fraction=0",
    "data.train_questions=80",
    "data.max_tokens=500",
    "trainer.max_epochs=3",
    "train.stop_at=null",
)
# The losses are measured in the first epoch, and order the second and half of the third.
BY_LOSS = ("data.curriculum=loss", "data.curriculum_epochs=1.5")


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Noting.follow()
    Noting.forget()


def served_by(config):
    Noting.forget()
    train(config)
    return Noting.served


def test_notices_with_few_facts_come_first(tiny):
    served = served_by(tiny(*SETTINGS, "data.curriculum=facts"))
    plain = served_by(tiny(*SETTINGS))
    # 80 questions, each in one window: 10 batches an epoch.
    assert [len(batch) for batch in served] == [8] * 30
    corpus = generate(0)
    facts = [corpus.facts[row.id] for row in chosen(corpus.train, 80, "data.train_questions", 0)]
    assert {facts[window] for batch in served[:10] for window in batch} == {3}
    assert {facts[window] for batch in plain[:10] for window in batch} == {3, 4, 5, 6}
    # After it, epochs are those of a training without one.
    assert served[10:] == plain[10:]


def test_losses_of_the_first_epoch_order_the_second(tiny):
    served = served_by(tiny(*SETTINGS, *BY_LOSS))
    plain = served_by(tiny(*SETTINGS))
    assert served[:10] == plain[:10]
    # The easiest tenth of 80, and after two thirds of the way 82 % of them.
    assert len({window for batch in served[10:20] for window in batch}) == 8
    assert len({window for batch in served[20:] for window in batch}) == 66


@pytest.fixture(scope="module")
def unbroken():
    """What every step started from and was served, and the result, of trainings that were not stopped."""
    return {}


@pytest.mark.parametrize(
    ("curriculum", "stop"),
    # In the epoch that measures, at its last step, at the first one of the next and in its middle.
    [
        *((BY_LOSS, stop) for stop in (5, 10, 15)),
        *(pytest.param(BY_LOSS, stop, marks=pytest.mark.slow) for stop in (9, 11, 20, 21, 25)),
        pytest.param(("data.curriculum=length",), 5, marks=pytest.mark.slow),
    ],
)
def test_a_stop_changes_nothing(tiny, tmp_path, unbroken, curriculum, stop):
    settings = (*SETTINGS, *curriculum)
    if curriculum not in unbroken:
        whole = tiny(*settings, f"paths.runs={tmp_path / 'whole'}")
        served = served_by(whole)
        unbroken[curriculum] = served, Noting.noted, result_of(directory_of(whole))
    served, noted, result = unbroken[curriculum]
    Noting.forget()
    config = tiny(*settings)
    Noting.follow(Plan("training", stop, signal.SIGINT))
    with pytest.raises(Stopped):
        train(config)
    Noting.follow()
    assert served_by(config) == served[stop:]
    for step, now in Noting.noted.items():
        assert now["weights"] == noted[step]["weights"], step
    assert result_of(directory_of(config)) == result


def test_the_losses_are_those_whose_mean_is_the_loss_of_the_batch(tiny, monkeypatch):
    means, own = [], []

    def note(self, places, losses):
        own.append(losses())

    monkeypatch.setattr(QuestionAnswering, "note_losses", note)
    whole = QuestionAnswering.share_of_step

    def share(self, loss, batch_idx):
        means.append(loss.detach())
        return whole(self, loss, batch_idx)

    monkeypatch.setattr(QuestionAnswering, "share_of_step", share)
    train(tiny(*SETTINGS, *BY_LOSS, "trainer.max_steps=5"))
    assert len(own) == 5
    for loss, each in zip(means, own, strict=True):
        assert torch.allclose(loss, each.mean(), rtol=1e-6)


def test_what_comes_first_is_said_and_null_is_no_other_run(tiny, caplog):
    with caplog.at_level(logging.INFO, "qa_research"):
        train(tiny(*SETTINGS, *BY_LOSS, "trainer.max_steps=1"))
    said = "Curriculum: from the second epoch on, the training examples of least loss first; all take part "
    assert said + "after 1.5 epochs more" in caplog.messages
    config = dict(tiny(*SETTINGS))
    earlier = {**config, "data": {k: v for k, v in config["data"].items() if "curr" not in k}}
    assert config_hash(config) == config_hash(earlier)
