"""Signals, kills and several processes, in real processes started from the command line."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qa_research.runs.checkpoints import damage
from qa_research.runs.directory import read_record
from tests.tiny_run import TINY
from tests.training.reading import result_of

ROOT = Path(__file__).parents[2]
SEED = 20261122
SETTINGS = (
    *(word for word in TINY if not word.startswith("train.progress")),
    "model._target_=tests.training.signalling.Signalling",
    "model.dropout=0.3",
    "trainer.max_epochs=4",
    "train.stop_at=null",
    "checkpoint.monitor=choosing/loss",
    "checkpoint.mode=min",
)

pytestmark = pytest.mark.slow


def start(tmp_path: Path, runs: str, *overrides: str, plan: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "train.py"), *SETTINGS, *overrides]
    command += [f"paths.runs={tmp_path / runs}", f"paths.cache={tmp_path / 'cache'}"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"SIGNALLING": plan},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A script's background process ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    text, _ = process.communicate(timeout=240)
    return process.returncode, text


def the_run(tmp_path: Path, runs: str) -> Path:
    (run,) = (tmp_path / runs / "nopretrain").iterdir()
    return run


# From the second epoch on the losses of the first one, of which each process has a part, order the batches.
SHARED = (
    *("trainer=ddp", "data.batch_size=4", "trainer.accumulate_grad_batches=2"),
    *("data.curriculum=loss", "data.curriculum_epochs=2"),
)


@pytest.mark.parametrize("shape", [("trainer=cpu",), SHARED], ids=["cpu", "ddp"])
def test_signals_stop_and_the_same_command_resumes_bit_for_bit(tmp_path, shape):
    shape = (*shape, "trainer.precision=32-true")
    code, text = finish(start(tmp_path, "whole", *shape))
    assert code == 0, text
    plans = ["training:3:2:0", "validation:3:15:0", "training:4:15:0", "training:2:10:0"]
    if "trainer=ddp" in shape:
        # To the second process only, and during a validation.
        plans = ["training:3:15:1", "validation:3:15:1", "training:3:2:0", "training:3:10:1"]
    for plan in plans:
        number = int(plan.split(":")[2])
        code, text = finish(start(tmp_path, "runs", *shape, plan=plan))
        if number == signal.SIGUSR1:
            assert code == 0 and "Saved step" in text, text
            break
        assert code == 128 + number, text
        assert "which is saved" in text and "Resume with: python" in text
        assert "Traceback" not in text
        assert read_record(the_run(tmp_path, "runs"))["status"] == "interrupted"
    code, text = finish(start(tmp_path, "runs", *shape))
    assert code == 0, text
    run, whole = the_run(tmp_path, "runs"), the_run(tmp_path, "whole")
    assert result_of(run) == result_of(whole)
    left = {path.name for path in (run / "checkpoints").iterdir()}
    assert {"last.ckpt", "best.ckpt"} == {name for name in left if not name.startswith("step-")}
    assert len(list((run / "tensorboard").glob("events.*"))) < 12


def test_a_second_ctrl_c_exits_at_once(tmp_path):
    # Both within one step: on a busy machine two signals from outside become one, or the second comes late.
    twice = "training:20:2:0,training:20:2:0"
    saving = ("trainer.max_epochs=2000", "checkpoint.every_n_minutes=1e-4")
    code, text = finish(start(tmp_path, "runs", *saving, plan=twice))
    assert code == 130 and "Exiting now" in text and "which is saved" not in text, text
    assert read_record(the_run(tmp_path, "runs"))["status"] == "running"
    assert damage(the_run(tmp_path, "runs") / "checkpoints/last.ckpt") is None


def test_after_each_of_ten_kills_it_resumes_from_an_undamaged_checkpoint(tmp_path):
    draw, resumed_at, in_saves = random.Random(SEED), [], 0
    # Ten, and more where no kill has hit a save yet.
    for kill in range(25):
        if kill >= 10 and in_saves:
            break
        every_s = (0.5, 1e-4)[kill % 2]
        overrides = ("trainer.max_epochs=100000", f"checkpoint.every_n_minutes={every_s / 60}")
        process = start(tmp_path, "runs", *overrides)
        started = time.time()
        wait_for(lambda since=started: newer_checkpoint(tmp_path, since), process)
        time.sleep(draw.uniform(0.0, 2.0))
        process.kill()
        killed = time.time()
        finish(process)
        run = the_run(tmp_path, "runs")
        if any((run / "checkpoints").glob(".last.ckpt.*.tmp")):
            in_saves += 1
        last = run / "checkpoints/last.ckpt"
        assert damage(last) is None
        # A step or a validation may come between, and the save itself.
        assert killed - last.stat().st_mtime < every_s + 1.0
        record = read_record(run)
        assert record["status"] == "running"
        resumed_at.append(record["resumed"][-1]["step"] if kill else 0)
    assert resumed_at == sorted(set(resumed_at)) and in_saves
    print(f"\n{len(resumed_at)} kills, {in_saves} in a save; resumed after the steps {resumed_at}")
    command = [str(Path(sys.executable).with_name("qa-research")), "runs", "list", "--json"]
    command += ["--runs", str(tmp_path / "runs")]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    assert [row["status"] for row in listed["runs"]] == ["killed"]


def newer_checkpoint(tmp_path: Path, since: float) -> bool:
    found = (tmp_path / "runs").glob("*/*/checkpoints/last.ckpt")
    return any(path.stat().st_mtime > since for path in found)


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 120
    while not condition():
        if process.poll() is not None:
            raise AssertionError(process.communicate()[0])
        assert time.monotonic() < limit
        time.sleep(0.05)
