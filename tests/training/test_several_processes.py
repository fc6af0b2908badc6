"""Several processes train as if they were one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qa_research.runs.directory import read_record
from qa_research.tasks.answering.squad import squad_json
from tests.conftest import make_question
from tests.training.reading import rows_of

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_console_script_starts_its_own_further_processes(tmp_path):
    command = [str(Path(sys.executable).with_name("qa-research")), "train", "+experiment=smoke"]
    command += ["trainer=ddp", "trainer.max_steps=2", "trainer.max_epochs=1", "train.threads=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs/smoke").iterdir()
    assert read_record(run)["status"] == "finished"


@pytest.fixture
def train_in(tmp_path):
    """Trains a small network in float32 without dropout, in a process of its own, and returns its run."""
    # Windows of one length: Hugging Face's loss also runs over a batch's padding, which differs
    # between the halves of a batch.
    rows = [
        make_question(
            i, f"Who teaches group {letter}?", "Ms Lund", f"Ms Lund teaches group {letter}."
        )
        for i, letter in enumerate("ABCDEFGHIJKLMNOPQRS")
    ]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(squad_json(rows, "1.1")))
    shared = [
        *("data=squad_file", f"data.train_path={path}", f"data.validation_path={path}"),
        *("trainer.max_epochs=3", "trainer.precision=32-true", "train.threads=1"),
        "trainer.log_every_n_steps=1",
        *("model.hidden_size=32", "model.intermediate_size=64", "model.num_attention_heads=2"),
        *(f"paths.cache={tmp_path / 'cache'}", "trainer.val_check_interval=1.0"),
        *("train.stop_at=null", "model.dropout=0.0", "model.warmup_fraction=0.0"),
    ]

    def run(*overrides):
        runs = tmp_path / "-".join(overrides)
        command = [sys.executable, "train.py", *shared, *overrides, f"paths.runs={runs}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        (run,) = (runs / "nopretrain").iterdir()
        return run

    return run


def curves_of(run):
    columns = ("train/loss", "train/gradient_norm", "val/loss")
    return {c: [float(row[c]) for row in rows_of(run) if row[c]] for c in columns}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accumulate", "steps"),
    # 19 windows: batches of 8, 8 and 3, the halves of the last one of 2 and 1. Accumulated over 2
    # batches, a step of 16 windows and one of 3.
    [(1, 3), (2, 2)],
)
def test_two_processes_train_as_one_with_the_same_global_batch(train_in, accumulate, steps):
    every = f"trainer.accumulate_grad_batches={accumulate}"
    one = train_in("trainer=cpu", "data.batch_size=8", every)
    two = train_in("trainer=ddp", "data.batch_size=4", every)
    for run in (one, two):
        assert len(json.loads((run / "predictions/validation.json").read_text())) == 19
    curve = curves_of(one)
    assert [len(values) for values in curve.values()] == [3 * steps, 3 * steps, 3]
    assert curve["train/loss"][-1] < curve["train/loss"][0]
    for name, values in curves_of(two).items():
        assert values == pytest.approx(curve[name], abs=1e-4)
