"""Checkpoint files: named, checked for damage, and read without running foreign code.

They hold tensors and plain types only. last.ckpt is what a training is resumed from, previous.ckpt the
one before it; best.ckpt and step-000050.ckpt hold weights. training/resumable.py writes them.
"""

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qa_research.runs.store import checkpoints_of

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
# What torch's restricted unpickler raises on foreign or damaged bytes. LookupError: a KeyError or IndexError.
_UNREADABLE = (
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
)


class DamagedCheckpointError(ValueError):
    """The bytes of a checkpoint are not those that were written."""


@dataclass(frozen=True)
class ResumePoint:
    """An undamaged checkpoint to resume from, and the optimizer step it was saved at."""

    path: Path
    step: int


@dataclass(frozen=True)
class FoundPoint:
    """Where to resume (None: nowhere), and a sentence for each damaged file that was skipped."""

    point: ResumePoint | None
    damaged: tuple[str, ...]


def find_resume_point(
    directory: Path, run_id: str, shapes: Mapping[str, tuple[int, ...]]
) -> FoundPoint:
    """The newest undamaged checkpoint of a run. `shapes`: those of the network's tensors by name.

    Raises:
        ValueError: an undamaged checkpoint is not this run's: it is foreign, or of another run or
            architecture.
    """
    damaged = []
    for name in (LAST, PREVIOUS):
        path = directory / name
        if not path.is_file():
            continue
        if reason := damage(path):
            damaged.append(f"{path} is damaged ({reason})")
            continue
        try:
            checkpoint = read_checkpoint(path)
        except DamagedCheckpointError as error:
            damaged.append(str(error))
            continue
        if "exact" not in checkpoint:
            continue  # The final weights of a finished training, which hold no state to resume from.
        _check_is_ours(path, checkpoint, run_id, shapes)
        return FoundPoint(ResumePoint(path, int(checkpoint["exact"]["step"])), tuple(damaged))
    return FoundPoint(None, tuple(damaged))


def damage(path: Path) -> str | None:
    """What is wrong with the bytes of a checkpoint, or None if every checksum is correct."""
    try:
        with zipfile.ZipFile(path) as file:
            record = file.testzip()
    except Exception as error:
        # A damaged header can make zipfile raise almost anything.
        return str(error) or type(error).__name__
    return None if record is None else f"wrong checksum of {record}"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint, its tensors mapped from the file.

    Raises:
        ValueError: the file is not a checkpoint of ours.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
            raise ValueError("it holds no state_dict")
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        text = f"{path} is not a readable checkpoint of qa_research: {reason}"
        if isinstance(error, RuntimeError):
            # A record that torch's own file format must have is missing.
            raise DamagedCheckpointError(text) from error
        raise ValueError(text) from error
    return checkpoint


def load_network_weights(path: Path) -> dict[str, Tensor]:
    """The network's tensors in a checkpoint, under Hugging Face's names.

    Raises:
        ValueError: the file is not a checkpoint of ours.
    """
    state = read_checkpoint(path)["state_dict"]
    return {name.removeprefix("network."): tensor for name, tensor in state.items()}


def step_of(path: Path) -> int | None:
    """The optimizer step of a checkpoint, or None if it does not say."""
    step = read_checkpoint(path).get("global_step")
    return step if isinstance(step, int) else None


def find_checkpoint(directory: Path, which: str) -> Path:
    """The file of a checkpoint given as `best`, `last`, a step number, or a path.

    Raises:
        FileNotFoundError: it does not exist; the message lists those that do.
    """
    if which in ("best", "last"):
        path = directory / f"{which}.ckpt"
    elif which.isdecimal():
        path = directory / f"step-{int(which):06d}.ckpt"
    else:
        path = Path(which).expanduser()
    if path.is_file():
        return path
    found = sorted(p.stem for p in directory.glob("[!.]*.ckpt"))
    names = ", ".join(str(int(n[5:])) if n.startswith("step-") else n for n in found)
    raise FileNotFoundError(f"there is no checkpoint {which}; this run has {names or 'none'}")


def _check_is_ours(
    path: Path,
    checkpoint: dict[str, Any],
    run_id: str,
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    if checkpoint["exact"]["run"] != run_id:
        raise ValueError(f"{path} belongs to another run; put it back, or remove it")
    found = {
        name.removeprefix("network."): tuple(tensor.shape)
        for name, tensor in checkpoint["state_dict"].items()
    }
    if found != dict(shapes):
        names = sorted(n for n in found.keys() | shapes.keys() if found.get(n) != shapes.get(n))
        theirs, ours = found.get(names[0], "missing"), shapes.get(names[0], "missing")
        raise ValueError(
            f"{path} is from another architecture: {names[0]} is {theirs} there and {ours} in this "
            f"run's network ({len(names)} tensors differ)"
        )


def kept_steps(directory: Path) -> list[str]:
    """The checkpoints of a run that form a curve: all steps it kept, and the last checkpoint.

    Raises:
        ValueError: it kept no steps.
    """
    names = checkpoints_of(directory)
    steps = [name for name in names if name.isdecimal()]
    if not steps:
        raise ValueError(
            f"{directory.name} kept no steps; train it with checkpoint.keep_every_n_steps=50 to keep them"
        )
    last = directory / "checkpoints" / LAST
    if last.is_file() and step_of(last) != int(steps[-1]):
        steps.append("last")
    return steps
