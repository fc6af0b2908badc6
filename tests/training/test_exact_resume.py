"""A training that was stopped anywhere and resumed is the uninterrupted one, bit for bit."""

import itertools
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from qa_research.runs.directory import read_record
from qa_research.runs.store import checkpoints_of
from qa_research.signals import Stopped
from qa_research.training.kept import kept_until
from qa_research.training.resumable import random_state, set_random_state
from tests.conftest import STOPPING_SEED
from tests.tiny_run import train
from tests.training.reading import directory_of, recording_of, result_of, rows_of
from tests.training.signalling import CrashError, Plan, Signalling

EPOCHS = 2
# 44 questions in batches of 8: 6 batches an epoch, the last one smaller; validation after 2, 4 and 6.
BATCHES = 6
TAGS = ("train/loss", "train/lr", "train/gradient_norm", "val/loss", "val/f1")
SETTINGS = (
    "capture=everything",
    "+capture/recorders@capture=batch_attention",
    "capture.every_n_steps=2",
    "capture.questions=3",
    "capture.dynamics.histograms=false",
    "model._target_=tests.training.signalling.Signalling",
    "model.dropout=0.3",
    "data.train_questions=44",
    "data.eval_batch_size=8",
    "trainer.val_check_interval=0.34",
    f"trainer.max_epochs={EPOCHS}",
    "train.stop_at=null",
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Signalling.follow()


# After 2, 4, 6 batches of an epoch; after 3, 6; after 4 and, as the last step has to have one, at the end.
VALIDATIONS = {1: 3 * EPOCHS, 3: 2 * EPOCHS, 4: EPOCHS + 1}


def moments(accumulate: int) -> dict[str, int]:
    """How often each moment occurs at which there is still something to stop."""
    return {
        "training": BATCHES * EPOCHS,
        "validation": 2 * VALIDATIONS[accumulate],
        "validation's end": VALIDATIONS[accumulate] - 1,
        "epoch's end": EPOCHS - 1,
    }


def stopping_points(count: int) -> list[tuple[int, int, Plan]]:
    """Drawn from STOPPING_SEED: accumulation, workers, and which signal comes when."""
    draw = random.Random(STOPPING_SEED)
    kinds = list(itertools.product((1, 3, 4), (0, 2), moments(1), SIGNALS))
    points = []
    for accumulate, workers, hook, number in draw.sample(kinds, count):
        # After SIGUSR1 training continues, and there must be room for the crash that ends it.
        last = moments(accumulate)[hook] // (2 if number == signal.SIGUSR1 else 1)
        points.append((accumulate, workers, Plan(hook, draw.randint(1, max(last, 1)), number)))
    return points


def describe(point: tuple[int, int, Plan]) -> str:
    accumulate, workers, plan = point
    return f"{plan.number.name}-{plan.hook}-{plan.call}-accumulate{accumulate}-workers{workers}"


def assert_each_step_once(run: Path) -> None:
    """TensorBoard shows no step of a curve twice, and the same values as metrics.csv."""
    folder = run / "tensorboard"
    # TensorBoard sorts by name, whose last part counts the files of this process: 10 before 9.
    for path in list(folder.glob("events.*")):
        head, _, count = path.name.rpartition(".")
        path.rename(folder / f"{head}.{int(count):09d}")
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    rows = rows_of(run)
    for tag in TAGS:
        steps = [event.step for event in events.Scalars(tag)]
        assert steps == sorted(set(steps)) == [int(row["step"]) for row in rows if row[tag]], tag
    captured = recording_of(run)["logits"].step.values.tolist()
    for tag in ("watched/loss", "dynamics_update_ratio/head"):
        steps = [event.step for event in events.Scalars(tag)]
        assert steps == [s for s in captured if s or tag.startswith("watched")], tag


@pytest.fixture(scope="module")
def uninterrupted():
    """Results of trainings that were not stopped, by their accumulation."""
    return {}


def run_to_the_end(config, attempts: int = 5) -> int:
    """Repeat the same training until it is finished; how often it was stopped."""
    for stops in range(attempts):
        try:
            train(config)
        except (Stopped, CrashError):
            Signalling.follow()
        else:
            return stops
    raise AssertionError("it never ends")


@pytest.mark.parametrize("point", stopping_points(24), ids=describe)
def test_a_stopped_training_resumes_bit_for_bit(tiny, tmp_path, uninterrupted, point):
    accumulate, workers, plan = point
    settings = [*SETTINGS, f"trainer.accumulate_grad_batches={accumulate}"]
    if accumulate not in uninterrupted:
        whole = tiny(*settings, f"paths.runs={tmp_path / 'whole'}")
        train(whole)
        uninterrupted[accumulate] = (
            *result_of(directory_of(whole)),
            read_record(directory_of(whole)),
            recording_of(directory_of(whole)),
        )
    config = tiny(*settings, f"data.num_workers={workers}")
    plans = [plan]
    if plan.number == signal.SIGUSR1:
        # Training continues after the save, so something else has to end it: a crash, later on.
        plans.append(Plan("training", BATCHES * EPOCHS, None))
    Signalling.follow(*plans)
    stops = run_to_the_end(config)
    digest, rows = result_of(directory_of(config))
    record = read_record(directory_of(config))
    expected_digest, expected_rows, expected, recording = uninterrupted[accumulate]
    assert stops == 1 and record["resumed"][0]["step"] > 0
    assert rows == expected_rows
    assert digest == expected_digest
    found = recording_of(directory_of(config))
    assert found.keys() == recording.keys() and len(found["logits"].step) > 2
    for group, arrays in recording.items():
        xr.testing.assert_identical(found[group], arrays)
    for key in ("steps", "best", "best_step", "train_samples", "fingerprints"):
        assert record[key] == expected[key], key
    assert_each_step_once(directory_of(config))
    kept = kept_until(record["steps"], record["steps"], 10)
    assert checkpoints_of(directory_of(config)) == ["best", "last", *map(str, kept)]


def test_a_signal_before_the_first_step_leaves_nothing_behind(tiny):
    config = tiny(*SETTINGS, "trainer.num_sanity_val_steps=2")
    for hook, number in (("tokenising", signal.SIGTERM), ("sanity check", signal.SIGINT)):
        Signalling.follow(Plan(hook, 1, number))
        with pytest.raises(Stopped) as stopped:
            train(config)
        assert stopped.value.exit_code == 128 + number
        assert not directory_of(config).exists()


def test_a_signal_before_the_first_step_of_a_resumed_run_keeps_it_resumable(tiny, tmp_path):
    settings = SETTINGS
    whole = tiny(*settings, f"paths.runs={tmp_path / 'whole'}")
    train(whole)
    config = tiny(*settings)
    for plan in (
        Plan("training", 3, signal.SIGINT),
        Plan("tokenising", 1, signal.SIGINT),
        Plan("tokenising", 1, signal.SIGTERM),
    ):
        Signalling.follow(plan)
        with pytest.raises(Stopped):
            train(config)
        record = read_record(directory_of(config))
        assert (record["status"], record["steps"]) == ("interrupted", 3)
    Signalling.follow()
    train(config)
    assert result_of(directory_of(config)) == result_of(directory_of(whole))


def test_a_signal_in_the_last_moments_lets_the_run_finish_and_still_stops_the_program(tiny):
    config = tiny(*SETTINGS)
    Signalling.follow(Plan("epoch's end", EPOCHS, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(config)
    assert read_record(directory_of(config))["status"] == "finished"


@pytest.mark.parametrize(
    ("extra", "call"),
    [
        ("trainer.max_epochs=1", BATCHES),
        # It ends with its first validation, which follows the second batch.
        ("train.stop_at={choosing/exact_match:1e-9}", 1),
        ("train.stop_at={choosing/exact_match:1e-9}", 2),
        # No validation is due at the fifth batch, so one follows the last step.
        ("trainer.max_steps=5", 4),
        ("trainer.max_steps=5", 5),
        ("trainer.max_steps=4", 4),
        ("trainer.max_steps=9", 8),
        ("trainer.max_steps=9", 9),
        ("+trainer.limit_train_batches=3", 3),
    ],
)
def test_every_way_to_end_is_reached_again_after_a_stop(tiny, tmp_path, extra, call):
    settings = [*SETTINGS, extra]
    whole = tiny(*settings, f"paths.runs={tmp_path / 'whole'}")
    train(whole)
    config = tiny(*settings)
    Signalling.follow(Plan("training", call, signal.SIGINT))
    assert run_to_the_end(config) == 1
    assert result_of(directory_of(config)) == result_of(directory_of(whole))
    recording = recording_of(directory_of(whole))
    for group, arrays in recording_of(directory_of(config)).items():
        xr.testing.assert_identical(arrays, recording[group])
    assert_each_step_once(directory_of(config))
    assert (directory_of(config) / "tensorboard/projector_config.pbtxt").is_file()


def test_an_early_end_that_has_to_wait_is_remembered(tiny, tmp_path):
    # The first validation meets the threshold, and the epoch still has to be finished.
    settings = [*SETTINGS, "train.stop_at={choosing/exact_match:1e-9}", "+trainer.min_epochs=1"]
    whole = tiny(*settings, "trainer.max_epochs=3", f"paths.runs={tmp_path / 'whole'}")
    train(whole)
    config = tiny(*settings, "trainer.max_epochs=3")
    Signalling.follow(Plan("training", BATCHES - 1, signal.SIGINT))
    assert run_to_the_end(config) == 1
    assert result_of(directory_of(config)) == result_of(directory_of(whole))
    assert read_record(directory_of(whole))["steps"] == BATCHES


def test_previous_handlers_are_put_back(tiny):
    before = [signal.getsignal(number) for number in SIGNALS]
    Signalling.follow(Plan("training", 2, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(tiny(*SETTINGS))
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_all_random_state_is_restored():
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    # Each keeps a second normal number for later, which is part of its state.
    random.gauss(0, 1)
    np.random.standard_normal()
    state = random_state()

    def draw():
        return random.gauss(0, 1), np.random.standard_normal(3).tolist(), torch.rand(3).tolist()

    first = draw()
    set_random_state(state)
    assert draw() == first
