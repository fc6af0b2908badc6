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
        *(f"paths.cache={tmp_path / 'cache'}", "trainer.val_check_interval=0.5"),
        *("train.stop_at=null", "model.dropout=0.0", "model.warmup_fraction=0.0"),
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
        columns = ("train/loss", "val/loss")
        losses[name] = [float(row[c]) for c in columns for row in rows_of(run) if row[c]]
    assert len(losses["one"]) == 12 and losses["one"][-1] < losses["one"][6]
    assert losses["one"] == pytest.approx(losses["two"], abs=1e-4)
