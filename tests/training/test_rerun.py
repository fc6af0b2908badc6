"""Steps of a run that are trained again in one process, and the examples that they train on."""

from collections import Counter

import pytest

from qa_research.interventions.influence.found import Request
from qa_research.launch.fork import parent_config
from qa_research.launch.influence import judged_influence
from qa_research.runs.anchors import anchor_file
from qa_research.signals import Signals
from qa_research.tasks.learning import TaskData
from qa_research.tasks.left_out import Edits
from qa_research.training.rerun import Reruns
from tests.tiny_run import train
from tests.training.noting import Noting
from tests.training.reading import directory_of

SETTINGS = (
    "capture=none",
    "model._target_=tests.training.noting.Noting",
    "data.train_questions=44",
    "data.batch_size=4",
    "trainer.max_epochs=3",
    "train.stop_at=null",
    "checkpoint.anchors_every_n_steps=3",
)


@pytest.fixture(autouse=True)
def _forget():
    yield
    Noting.forget()


def reruns_of(config, first, until):
    train(config)
    run = directory_of(config)
    return Reruns(parent_config(run), anchor_file(run, first), until, run)


def served_by(reruns, edits=None):
    """How often each example is trained on when the steps really are trained again."""
    Noting.forget()
    with Signals() as signals:
        reruns.train(lambda step, network: None, signals, edits)
    ids = reruns.task.data.ids()
    return Counter(ids[window] for batch in Noting.served for window in batch)


@pytest.mark.parametrize(
    "words",
    [
        (),
        # Nine of eleven batches an epoch, so that two steps have one batch each.
        ("trainer.accumulate_grad_batches=2", "+trainer.limit_train_batches=9"),
    ],
)
def test_what_steps_across_an_epoch_are_said_to_train_on_they_train_on(tiny, words):
    reruns = reruns_of(tiny(*SETTINGS, *words), 3, 13)
    assert reruns.served() == served_by(reruns)


def test_what_is_left_out_once_is_back_the_next_time(tiny):
    reruns = reruns_of(tiny(*SETTINGS), 3, 9)
    out = sorted(reruns.served())[:2]
    without = served_by(reruns, Edits(without=out))
    whole = served_by(reruns)
    assert set(whole) - set(without) == set(out) and whole == reruns.served()


def test_an_order_that_depends_on_all_examples_leaves_none_out(tiny):
    reruns = reruns_of(tiny(*SETTINGS, "data.curriculum=length"), 3, 9)
    assert reruns.served() == served_by(reruns)
    with pytest.raises(ValueError, match="data.curriculum=length makes an order of all training"):
        served_by(reruns, Edits(without=sorted(reruns.served())[:1]))


def test_data_of_no_single_examples_leave_none_out():
    class Plain(TaskData):
        name = "plain"

        def start_at(self, epoch, batches):
            """Nothing to enter."""

        def batch_sizes(self, epoch):
            return [4]

    Plain().edit(Edits())
    with pytest.raises(ValueError, match="data=plain cannot leave out or change single training"):
        Plain().edit(Edits(without=["a"]))


def test_what_cannot_be_judged_is_refused_before_anything_is_trained(tiny, monkeypatch):
    config = tiny(*SETTINGS, "data.curriculum=length")
    train(config)
    run = directory_of(config)
    monkeypatch.setattr(Reruns, "train", lambda *_: pytest.fail("it was trained"))
    request = Request(questions=2, examples=6, max_minutes=30, top=3, seed=1)
    with pytest.raises(ValueError, match="data.curriculum=length makes an order of all training"):
        judged_influence(
            str(run), 3, 9, 10, request, run.parent.parent, from_start=False, anyway=False
        )
