"""Recordings whose process is killed: what was committed can be read and resumed."""

import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import xarray as xr

from qa_research.capture.recording.reader import Recording
from qa_research.capture.recording.writer import RecordingWriter
from tests.capture.captures import ABOUT, capture, coordinates, is_right
from tests.conftest import STOPPING_SEED

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.capture.appending"]

pytestmark = pytest.mark.slow


def committed(path: Path) -> list[int]:
    """The steps that can be read; checks every value, and that nothing is damaged."""
    recording = Recording(path)
    assert recording.damage() == []
    read = {group: recording.read(group) for group in recording.recorders}
    assert all(is_right(group, recorded) for group, recorded in read.items())
    steps: list[int] = read["logits"].step.values.tolist()
    assert steps == list(range(recording.step + 1))
    assert read["attention"].step.values.tolist() == [step for step in steps if step % 2 == 0]
    return steps


def resume(path: Path, step: int) -> None:
    """Append two captures, which plain xarray must see too."""
    writer = RecordingWriter(path, ABOUT, coordinates(), resume_at=step)
    for more in (step + 1, step + 2):
        writer.append(more, capture(more))
    writer.flush()
    assert committed(path) == list(range(step + 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xr.open_datatree(path, engine="zarr", consolidated=False)
        assert tree["logits"].sizes["step"] == step + 3


def test_recording_survives_kills_at_random_moments(tmp_path):
    path, draw = tmp_path / "recording.zarr", random.Random(STOPPING_SEED)
    step = -1
    for _ in range(8):
        command = [*COMMAND, "endless", str(path), str(step)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout and process.stdout.readline() == "started\n"
            if step >= 0:
                assert committed(path)[-1] >= step
            time.sleep(draw.uniform(0.0, 0.5))
            process.send_signal(signal.SIGKILL)
            printed = [int(line) for line in process.stdout if line.endswith("\n")]
        assert process.returncode == -signal.SIGKILL
        steps = committed(path)
        assert steps[-1] >= max(printed, default=step)
        step = draw.randrange(len(steps) // 2, len(steps))
    resume(path, step)


def test_recording_survives_a_kill_before_each_file(tmp_path):
    draw = random.Random(STOPPING_SEED)
    subprocess.run([*COMMAND, "each", str(tmp_path)], cwd=ROOT, check=True)
    paths = sorted(tmp_path.glob("*.zarr"), key=lambda path: int(path.stem))
    for path in paths:
        possible = [int(step) for step in path.with_suffix(".possible").read_text().split()]
        if not (path / "zarr.json").exists():
            assert possible == [-1, 0]
            with pytest.raises(ValueError, match="nothing is readable yet"):
                Recording(path)
            resume(path, -1)
            continue
        steps = committed(path)
        assert steps[-1] in possible
        resume(path, draw.choice(steps))
    # The last one was not killed.
    assert len(paths) > 50 and possible == [3]
