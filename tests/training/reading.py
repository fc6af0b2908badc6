"""What tests read back from a run."""

import csv
import hashlib
from pathlib import Path

import xarray as xr
from omegaconf import DictConfig

from qa_research.capture.recording.reader import Recording
from qa_research.launch.compose import checked
from qa_research.runs.checkpoints import load_network_weights
from qa_research.runs.directory import run_directory


def directory_of(config: DictConfig) -> Path:
    """The directory of a composed config's run."""
    return run_directory(checked(config))


def digest(checkpoint: Path) -> str:
    """A sha256 over all of a checkpoint's weights, bit for bit."""
    total = hashlib.sha256()
    for name, tensor in sorted(load_network_weights(checkpoint).items()):
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def rows_of(run: Path) -> list[dict[str, str]]:
    """Every row of a run's metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def recording_of(run: Path) -> dict[str, xr.Dataset]:
    """All that was recorded, by group; fails if anything is damaged."""
    recording = Recording(run / "recording.zarr")
    assert recording.damage() == []
    return {name: recording.read(name).load() for name in recording.recorders}


def validation_rows(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv that a validation wrote."""
    return [row for row in rows_of(run) if row["val/f1"]]


def result_of(run: Path) -> tuple[str, list[dict[str, str]]]:
    """The last weights' digest, and every row of metrics.csv."""
    return digest(run / "checkpoints/last.ckpt"), rows_of(run)
