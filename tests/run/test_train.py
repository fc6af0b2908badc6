import csv
import hashlib
import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel

from qa_research.data.squad import squad_json
from qa_research.model.question_answering import NonFiniteLossError
from qa_research.model.weights import PACKAGED
from qa_research.run.checkpoints import load_network_weights
from qa_research.run.directory import lock, read_record, run_directory
from qa_research.run.opened import open_run
from qa_research.run.stop import Stopped
from qa_research.run.train import train
from tests.conftest import make_question

ROOT = Path(__file__).parents[2]


def digest(weights: dict[str, Tensor]) -> str:
    """A sha256 over all tensors, bit for bit."""
    total = hashlib.sha256()
    for name in sorted(weights):
        total.update(name.encode() + weights[name].numpy().tobytes())
    return total.hexdigest()


def directory_of(config) -> Path:
    from omegaconf import OmegaConf

    return run_directory(OmegaConf.to_container(config, resolve=True))


def validation_rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["val/f1"]]


@pytest.fixture
def squad_files(questions, tmp_path) -> list[str]:
    """Overrides that train on eight answerable questions of a file."""
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(squad_json(questions, "1.1")))
    return [
        "data=squad_file",
        f"data.train_path={path}",
        f"data.validation_path={path}",
        "data.train_questions=8",
        "data.validation_questions=8",
    ]


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
    assert any((run / "tensorboard").glob("events.*"))
    assert not any(path.endswith(".tmp") for path in found)
    record = read_record(run)
    assert record["status"] == "finished" and record["best"]["val/f1"] == score
    assert record["fingerprints"].keys() == {"train", "validation", "weights"}
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
        path = directory_of(config) / "checkpoints/last.ckpt"
        digests.append(digest(load_network_weights(path)))
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
        "train.stop_at_exact_match=100.0",
    )
    train(config)
    record = read_record(directory_of(config))
    assert record["best"]["val/exact_match"] == 100
    assert record["steps"] < 200


def test_a_run_that_ends_between_validations_is_validated_at_its_end(tiny):
    config = tiny("trainer.max_steps=4", "data.validate_every=0.5")
    train(config)
    record = read_record(directory_of(config))
    steps = [int(row["step"]) for row in validation_rows(directory_of(config))]
    assert record["steps"] == 4 and steps == [3, 4]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tiny):
    # The first step's learning rate is 0, and a validation follows it: that one is good.
    config = tiny("model.lr=1e30", "model.warmup_fraction=0.6", "trainer.val_check_interval=1")
    with pytest.raises(ValueError, match=r"at step \d+.*what was saved before is kept"):
        train(config)
    run = directory_of(config)
    assert read_record(run)["status"] == "failed"
    weights = load_network_weights(run / "checkpoints/best.ckpt")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_gradient_that_is_not_finite_stops_before_the_step(tiny):
    config = tiny("model.lr=1e30", "model.warmup_fraction=0.6", "data.validate_every=1.0")
    with pytest.raises(NonFiniteLossError, match=r"the loss is .* at step \d, epoch 0, batch \d"):
        train(config)


def test_a_run_that_fails_before_its_first_step_leaves_the_earlier_one_in_place(tiny, monkeypatch):
    config = tiny()
    train(config)
    before = read_record(directory_of(config))
    again = tiny("train.resume=never")
    monkeypatch.setattr("qa_research.run.train.quietly", _interrupt)
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


@pytest.mark.parametrize(
    ("override", "error", "sentence"),
    [
        ("data.max_tokens=600", ValueError, "data.max_tokens=600 is more than this model can read"),
        ("model.hidden_size=15", ValueError, "must be a multiple of model.num_attention_heads=2"),
        ("data.train_questions=30000", ValueError, "there are only 20000"),
        ("data.stride_tokens=128", ValueError, "data.stride_tokens=128 must be less than"),
        ("paths.runs=/dev/null/runs", NotADirectoryError, "is a file"),
        ("model.weights=./nowhere", FileNotFoundError, "model.weights=./nowhere is no directory"),
        ("checkpoint.monitor=val/accuracy", ValueError, "val/accuracy is not measured; these are"),
        ("trainer.max_epochs=0", ValueError, "trainer.max_epochs must be at least 1, got 0"),
        ("trainer.max_steps=0", ValueError, "trainer.max_steps must be at least 1"),
        ("trainer.precision=16-mixed", ValueError, "needs a GPU"),
        (
            "+trainer.limit_val_batches=2",
            ValueError,
            "trainer.limit_val_batches does not work here",
        ),
        ("+trainer.gradient_clip_algorithm=value", ValueError, "must be norm"),
        ("trainer.accelerator=mps", ValueError, "trainer.accelerator=mps is not there"),
        ("trainer.devices=0", ValueError, "settings under trainer. do not fit"),
        ("trainer.val_check_interval=500", ValueError, "val_check_interval"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tiny, tmp_path, override, error, sentence):
    with pytest.raises(error, match=sentence):
        train(tiny(override))
    assert not list(tmp_path.rglob("run.json"))


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
    found = {
        row["id"]: row for row in json.loads((run / "predictions/validation.json").read_text())
    }
    assert found["q100"]["prediction"] == "" and found["q100"]["null_odds"] > 0
    assert found["q0"]["prediction"] == "Ms Lund"


@pytest.mark.parametrize("model_type", ["distilbert", "roberta", "electra"])
def test_other_architectures_train_from_a_directory(
    composed, squad_files, tokenizer, tmp_path, cache, model_type
):
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"vocab_size": len(tokenizer), "max_position_embeddings": 130}
    config = AutoConfig.for_model(model_type, **sizes)
    AutoModel.from_config(config).save_pretrained(tmp_path / "weights")
    tokenizer.save_pretrained(tmp_path / "weights")
    config = composed(
        *("model=as_weights", f"model.weights={tmp_path / 'weights'}", *squad_files),
        *("data.max_tokens=64", "data.stride_tokens=16", "trainer.max_epochs=1"),
        *("trainer.precision=32-true", "train.progress=none", "train.threads=1"),
        *(f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}"),
    )
    train(config)
    run = open_run(directory_of(config))
    assert run.network.config.model_type == model_type
    assert run.ask("Who teaches chess?", "Ms Lund teaches chess.").text


@pytest.mark.slow
def test_a_compiled_network_trains_and_is_saved_under_the_plain_names(tiny):
    config = tiny("model.compile=true", "trainer.max_steps=2")
    train(config)
    names = load_network_weights(directory_of(config) / "checkpoints/last.ckpt")
    assert "qa_outputs.weight" in names and not any("_orig_mod" in name for name in names)


EXPERIMENTS = {
    "nopretrain": (),
    "pretrained": (f"model.weights={PACKAGED}",),
    "overfit": ("data.train_questions=8", "data.batch_size=8", "trainer.max_epochs=1"),
    "smoke": (),
    "squad_nopretrain": ("model.tokenizer=null",),
    "squad_pretrained": ("model=minilm", f"model.weights={PACKAGED}"),
}


@pytest.mark.parametrize(
    "experiment", sorted(path.stem for path in (ROOT / "conf/experiment").iterdir())
)
def test_every_experiment_runs_two_batches(composed, squad_files, tmp_path, cache, experiment):
    overrides = [f"+experiment={experiment}", *EXPERIMENTS[experiment]]
    if experiment.startswith("squad"):
        overrides += [*squad_files, "trainer=cpu"]
    if experiment in ("nopretrain", "pretrained", "smoke"):
        overrides += ["data.train_questions=64", "data.validation_questions=16"]
    if "nopretrain" in experiment:
        overrides += ["model.hidden_size=16", "model.intermediate_size=32"]
        overrides += ["model.num_attention_heads=2", "model.num_hidden_layers=2"]
    overrides += ["trainer.max_steps=2", "trainer.precision=32-true", "train.progress=none"]
    overrides += [f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}"]
    config = composed(*overrides)
    train(config)
    assert read_record(directory_of(config))["steps"] >= 1


@pytest.mark.slow
def test_the_console_script_starts_its_own_further_processes(tmp_path):
    command = [str(Path(sys.executable).with_name("qa-research")), "train", "+experiment=smoke"]
    command += ["trainer=ddp", "trainer.max_steps=2", "trainer.max_epochs=1", "train.threads=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs/smoke").iterdir()
    assert read_record(run)["status"] == "finished"


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_same_global_batch(tmp_path):
    # Windows of one length: Hugging Face's loss also runs over a batch's padding, which differs
    # between the halves of a batch.
    rows = [
        make_question(
            i, f"Who teaches group {letter}?", "Ms Lund", f"Ms Lund teaches group {letter}."
        )
        for i, letter in enumerate("ABCDEFGHIJKLMNOP")
    ]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(squad_json(rows, "1.1")))
    shared = [
        *("data=squad_file", f"data.train_path={path}", f"data.validation_path={path}"),
        *("trainer.max_epochs=3", "trainer.precision=32-true", "train.threads=1"),
        "trainer.log_every_n_steps=1",
        *("model.hidden_size=32", "model.intermediate_size=64", "model.num_attention_heads=2"),
        *(f"paths.cache={tmp_path / 'cache'}", "data.validate_every=0.5"),
        *("train.stop_at_exact_match=null", "model.dropout=0.0", "model.warmup_fraction=0.0"),
    ]
    losses = {}
    for name, overrides in (
        ("one", ["trainer=cpu", "data.batch_size=8"]),
        ("two", ["trainer=ddp", "data.batch_size=4"]),
    ):
        command = [sys.executable, "train.py", *overrides, *shared, f"paths.runs={tmp_path / name}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        (run,) = (tmp_path / name / "nopretrain").iterdir()
        assert len(json.loads((run / "predictions/validation.json").read_text())) == 16
        with (run / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        losses[name] = [float(r[c]) for c in ("train/loss", "val/loss") for r in rows if r[c]]
    assert len(losses["one"]) == 12 and losses["one"][-1] < losses["one"][6]
    assert losses["one"] == pytest.approx(losses["two"], abs=1e-4)
