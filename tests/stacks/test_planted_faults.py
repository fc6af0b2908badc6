"""Faults that are planted into real trainings are found: a part of benchmarks/planted_faults.py."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_faults_of_real_trainings_are_named(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "planted_faults.py"
    faults = ("slow loader", "a hub look-up at start")
    words = [sys.executable, str(script), "--folder", str(tmp_path), "--only", *faults]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 of 2 right"
