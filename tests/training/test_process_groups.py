"""Signals as terminals, `timeout` and service managers send them: to all processes of a training at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qa_research.runs.checkpoints import damage
from qa_research.runs.directory import read_record
from tests.tiny_run import TINY
from tests.training.test_real_processes import ROOT, finish, the_run, wait_for

LONG = ("trainer.max_epochs=100000", "train.stop_at=null", "checkpoint.every_n_minutes=0.001")


def start(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    """A training in a process group of its own."""
    places = (f"paths.runs={tmp_path / 'runs'}", f"paths.cache={tmp_path / 'cache'}")
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *words, *TINY, *LONG, "capture=none", *places],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_a_checkpoint(tmp_path: Path, process: subprocess.Popen[str]) -> None:
    wait_for(lambda: list((tmp_path / "runs").glob("*/*/checkpoints/last.ckpt")), process)


def group_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes of the group that are alive."""
    shown = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True)
    rows = [line.split() for line in shown.stdout.splitlines()]
    return [int(p) for p, group, state in rows if int(group) == process.pid and state[0] != "Z"]


def wait_until_gone(process: subprocess.Popen[str]) -> None:
    """The process has ended; the rest of its group follows."""
    limit = time.monotonic() + 120
    while left := group_of(process):
        assert time.monotonic() < limit, left
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_group_saves_and_leaves_no_worker(tmp_path, number):
    process = start(tmp_path, "data.num_workers=2")
    wait_for_a_checkpoint(tmp_path, process)
    assert len(group_of(process)) > 2
    os.killpg(process.pid, number)
    code, text = finish(process)
    assert code == 128 + number, text
    assert "Traceback" not in text and "which is saved" in text
    assert text.count("Stopping at the end of this step") == 1
    assert read_record(the_run(tmp_path, "runs"))["status"] == "interrupted"
    wait_until_gone(process)


@pytest.mark.slow
def test_a_second_ctrl_c_leaves_no_worker(tmp_path):
    process = start(tmp_path, "data.num_workers=2")
    wait_for_a_checkpoint(tmp_path, process)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.005)
    code, text = finish(process)
    assert code == 130 and "Traceback" not in text, text
    assert damage(the_run(tmp_path, "runs") / "checkpoints/last.ckpt") is None
    wait_until_gone(process)


@pytest.mark.slow
def test_workers_of_a_killed_sweep_save_and_end(tmp_path):
    process = start(tmp_path, "-m", "+launcher=joblib", "seed=1,2,3")
    wait_for(lambda: len(list((tmp_path / "runs").glob("*/*/checkpoints/last.ckpt"))) == 2, process)
    process.kill()
    finish(process)
    wait_until_gone(process)
    runs = sorted((tmp_path / "runs/nopretrain").iterdir())
    assert [read_record(run)["status"] for run in runs] == ["interrupted", "interrupted"]


@pytest.mark.parametrize("command", [["train.py"], ["-m", "qa_research.cli.main"]])
def test_ctrl_c_while_modules_are_imported_shows_no_traceback(tmp_path, command):
    started = "from qa_research.cli.main import main; main()"
    words = [str(ROOT / command[0])] if len(command) == 1 else ["-c", started, "train"]
    for wait_s in (0.15, 0.25, 0.4):
        process = subprocess.Popen(
            [sys.executable, *words, "--cfg", "job"],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        time.sleep(wait_s)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=60)
        # A fast machine may have ended before; a slow one has not begun with Python, and the signal ends it.
        assert process.returncode in (130, 0, -signal.SIGINT) and "Traceback" not in text, text
        assert process.returncode != -signal.SIGINT or not text, text
