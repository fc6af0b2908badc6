"""When a training validates: the unit never depends on whether a number is written 1 or 1.0."""

import signal

import pytest

from qa_research.launch.compose import checked
from qa_research.runs.directory import config_hash
from qa_research.signals import Stopped
from qa_research.tasks.earlier_configs import upgraded
from tests.tiny_run import train
from tests.training.reading import directory_of, rows_of
from tests.training.signalling import Plan, Signalling

# Ten batches of four, and three steps an epoch: they end after the batches 4, 8 and 10.
EPOCHS = (
    *("data.train_questions=40", "data.batch_size=4", "trainer.accumulate_grad_batches=4"),
    *("trainer.max_epochs=3", "train.stop_at=null"),
    "model._target_=tests.training.signalling.Signalling",
)
STEPS = ("trainer.check_val_every_n_epoch=null",)


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Signalling.follow()


def validated(config) -> list[int]:
    """The steps that were validated, in the order of metrics.csv."""
    return [int(row["step"]) for row in rows_of(directory_of(config)) if row["val/loss"]]


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        (("trainer.val_check_interval=1",), [3, 6, 9]),
        (("trainer.val_check_interval=1.0",), [3, 6, 9]),
        (("trainer.val_check_interval=2", *STEPS), [2, 4, 6, 8, 9]),
        (("trainer.val_check_interval=2.0", *STEPS), [2, 4, 6, 8, 9]),
        (("trainer.val_check_interval=5", *STEPS), [5, 9]),
    ],
)
def test_an_interval_is_a_part_of_an_epoch_or_counts_steps_over_epochs(tiny, overrides, steps):
    config = tiny(*EPOCHS, *overrides)
    train(config)
    assert validated(config) == steps


@pytest.mark.parametrize("stop_after", [7, 10, 14])
def test_a_resumed_training_validates_at_the_same_steps(tiny, stop_after):
    config = tiny(*EPOCHS, "trainer.val_check_interval=2", *STEPS)
    Signalling.follow(Plan("training", stop_after, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(config)
    Signalling.follow()
    train(config)
    assert validated(config) == [2, 4, 6, 8, 9]


def test_one_and_one_point_zero_are_one_run(composed):
    one, other = (checked(composed(f"trainer.val_check_interval={text}")) for text in ("1", "1.0"))
    assert config_hash(one) == config_hash(other)


def test_the_whole_number_of_an_earlier_version_still_counts_steps():
    trainer = {"val_check_interval": 5, "check_val_every_n_epoch": 1}
    assert upgraded({"trainer": trainer})["trainer"]["check_val_every_n_epoch"] is None
    trainer = {"val_check_interval": 1.0, "check_val_every_n_epoch": 1}
    assert upgraded({"trainer": trainer})["trainer"] == trainer
