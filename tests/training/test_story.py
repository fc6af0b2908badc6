"""A run from its config to its result, and every way in which it can end."""

import json
import math
import signal
from pathlib import Path

import pytest
import torch

from qa_research.capture.kept import read_kept
from qa_research.runs.checkpoints import load_network_weights
from qa_research.runs.directory import lock, read_record
from qa_research.signals import Stopped
from qa_research.tasks.answering.squad import squad_json
from qa_research.tasks.learning import NonFiniteLossError
from tests.conftest import make_question
from tests.tiny_run import train
from tests.training.reading import digest, directory_of, validation_rows

ROOT = Path(__file__).parents[2]


def test_a_run_leaves_behind_what_the_design_promises(tiny):
    config = tiny("checkpoint.keep_every_n_steps=4")
    score = train(config)
    run = directory_of(config)
    found = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert found >= {
        *("config.yaml", "run.json", "metrics.csv", "train.log", "architecture.json"),
        *("model/config.json", "model/tokenizer.json", "predictions/validation.json"),
        *("checkpoints/last.ckpt", "checkpoints/best.ckpt", "checkpoints/step-000004.ckpt"),
    }
    (kept,) = read_kept(run)
    assert kept.state.checkpoint == "best" and kept.state.asked == 16
    assert any((run / "tensorboard").glob("events.*"))
    assert not any(path.endswith(".tmp") for path in found)
    record = read_record(run)
    assert record["status"] == "finished" and record["best"]["val/f1"] == score
    sure = record["best_95"]["val/f1"]
    assert sure["low"] <= score <= sure["high"] and sure["wider"] == 1
    names = {"train", "validation", "weights", "tokenizer", "windows"}
    assert record["fingerprints"].keys() == names
    assert not {"user", "host", "node"} & set(json.dumps(record).lower().split('"'))


def test_predictions_metrics_and_record_tell_the_same_scores(tiny):
    config = tiny()
    train(config)
    run = directory_of(config)
    rows = json.loads((run / "predictions/validation.json").read_text())
    best = read_record(run)["best"]
    assert len(rows) == 16
    assert 100 * sum(row["f1"] for row in rows) / 16 == pytest.approx(best["val/f1"], abs=1e-4)
    f1 = [float(row["val/f1"]) for row in validation_rows(run)]
    assert max(f1) == pytest.approx(best["val/f1"], abs=1e-4)
    for kind in ("lookup", "match"):
        mine = [row["exact_match"] for row in rows if row["kind"] == kind]
        mean = 100 * sum(mine) / len(mine)
        assert mean == pytest.approx(best[f"val/exact_match_{kind}"], abs=1e-4)


def test_checkpoints_hold_tensors_and_plain_types_only(tiny):
    config = tiny()
    train(config)
    for path in (directory_of(config) / "checkpoints").iterdir():
        checkpoint = torch.load(path, weights_only=True)
        assert checkpoint["state_dict"].keys() == {
            f"network.{name}" for name in load_network_weights(path)
        }


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny, tmp_path):
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = tiny(f"paths.runs={tmp_path / name}", f"seed={seed}")
        train(config)
        digests.append(digest(directory_of(config) / "checkpoints/last.ckpt"))
    assert digests[0] == digests[1] != digests[2]


def test_precision_bf16_trains_too(tiny):
    assert train(tiny("trainer.precision=bf16-mixed")) >= 0


def test_accumulation_takes_fewer_steps(tiny):
    config = tiny("trainer.accumulate_grad_batches=3", "data.train_questions=40")
    train(config)
    record = read_record(directory_of(config))
    # What is left over at the end of an epoch makes a step too.
    assert record["steps"] == math.ceil(math.ceil(record["train_samples"] / 8) / 3) == 2


def test_a_finished_run_is_reported_and_not_repeated(tiny):
    config = tiny()
    first = train(config)
    record = directory_of(config) / "run.json"
    before = record.stat().st_mtime_ns
    assert train(config) == first
    assert record.stat().st_mtime_ns == before


def test_asking_for_it_trains_again_and_keeps_the_old_run(tiny):
    config = tiny()
    train(config)
    train(tiny("train.resume=never"))
    run = directory_of(config)
    assert read_record(run)["status"] == "finished"
    assert read_record(run.with_name(f"{run.name}.1"))["status"] == "finished"


def test_an_early_end_comes_when_the_score_is_reached(tiny):
    config = tiny(
        *("data.train_questions=4", "data.validate_on_train=true", "data.batch_size=4"),
        *("trainer.max_epochs=200", "trainer.check_val_every_n_epoch=10"),
        *("trainer.val_check_interval=1.0", "model.lr=1e-2", "model.dropout=0.0"),
        "train.stop_at={choosing/exact_match:100.0}",
    )
    train(config)
    record = read_record(directory_of(config))
    assert record["best"]["val/exact_match"] == 100
    assert record["steps"] < 200


def test_a_run_that_ends_between_validations_is_validated_at_its_end(tiny):
    config = tiny("trainer.max_steps=4", "trainer.val_check_interval=0.5")
    train(config)
    record = read_record(directory_of(config))
    steps = [int(row["step"]) for row in validation_rows(directory_of(config))]
    assert record["steps"] == 4 and steps == [3, 4]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tiny):
    # The first step's learning rate is 0, and a validation follows it: that one is good.
    config = tiny(
        "model.lr=1e30",
        "model.warmup_fraction=0.6",
        "trainer.val_check_interval=1",
        "trainer.check_val_every_n_epoch=null",
    )
    with pytest.raises(ValueError, match=r"at step \d+.*the last checkpoint is kept"):
        train(config)
    run = directory_of(config)
    assert read_record(run)["status"] == "failed"
    weights = load_network_weights(run / "checkpoints/best.ckpt")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_gradient_that_is_not_finite_stops_before_the_step(tiny):
    config = tiny("model.lr=1e30", "model.warmup_fraction=0.6", "trainer.val_check_interval=1.0")
    with pytest.raises(NonFiniteLossError, match=r"the loss is .* at step \d, epoch 0, batch \d"):
        train(config)


def test_a_run_that_fails_before_its_first_step_leaves_the_earlier_one_in_place(tiny, monkeypatch):
    config = tiny()
    train(config)
    before = read_record(directory_of(config))
    again = tiny("train.resume=never")
    monkeypatch.setattr("qa_research.training.story.without_expected_warnings", _interrupt)
    with pytest.raises(Stopped):
        train(again)
    assert read_record(directory_of(config)) == before


def _interrupt(*_, **__):
    raise Stopped(signal.SIGINT)


def test_two_processes_cannot_train_the_same_run(tiny):
    config = tiny()
    with (
        lock(directory_of(config)),
        pytest.raises(ValueError, match="another process is training"),
    ):
        train(config)


def test_unanswerable_questions_train_and_score(tiny, questions, tmp_path):
    rows = [*questions, *(make_question(100 + i, "Why is it so?", None) for i in range(4))]
    path = tmp_path / "v2.json"
    path.write_text(json.dumps(squad_json(rows, "v2.0")))
    config = tiny(
        *("data=squad_file", f"data.train_path={path}", f"data.validation_path={path}"),
        *("data.train_questions=null", "data.validation_questions=null", "data.batch_size=12"),
        *("trainer.max_epochs=150", "trainer.check_val_every_n_epoch=50", "model.lr=1e-2"),
        *("trainer.val_check_interval=1.0", "model.dropout=0.0"),
    )
    train(config)
    run = directory_of(config)
    assert read_record(run)["unanswerable"] is True
    shared = {"ids": 12, "questions": 12, "contexts": 12, "either": 12}
    assert read_record(run)["shared_with_training"] == shared
    found = {
        row["id"]: row for row in json.loads((run / "predictions/validation.json").read_text())
    }
    assert found["q100"]["prediction"] == "" and found["q100"]["null_odds"] > 0
    assert found["q0"]["prediction"] == "Ms Lund"
