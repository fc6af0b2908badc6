"""Checkpoint files: named, checked for damage whenever they are read, and read without running foreign code.

They hold tensors and plain types only, in torch's own file format, which is a zip file: its comment is the
checksum of all the rest. last.ckpt is what a training is resumed from, previous.ckpt the
one before it; best.ckpt and step-000050.ckpt hold weights. training/resumable.py writes them.
"""

import os
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NotRequired, cast

import google_crc32c
import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor
from typing_extensions import TypedDict

from qa_research.runs.directory import no_weights
from qa_research.runs.store import checkpoints_of

_CHUNK = 1 << 20
# The end of a zip file: this mark, 16 bytes, the length of the comment in 2 bytes, and the comment.
_END, _END_BYTES = b"PK\5\6", 22
_SUM_BYTES = len("crc32c:01234567")
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


# Where Lightning keeps the state of the scaler that float16 needs.
_SCALER = "MixedPrecision"
# What Lightning's Trainer reads of a checkpoint that it resumes from.
_TO_RESUME = (
    *("epoch", "global_step", "pytorch-lightning_version", "loops", "callbacks"),
    *("optimizer_states", "lr_schedulers"),
)
_ANY_TYPE = ConfigDict(arbitrary_types_allowed=True, strict=True, extra="allow")


class _Exact(TypedDict):
    """What training/resumable.py adds to resume from."""

    __pydantic_config__ = _ANY_TYPE  # type: ignore[misc]
    run: str
    step: int
    epoch: int
    batches: int
    should_stop: bool
    random: list[dict[str, Any]]


class _OptimizerState(TypedDict):
    __pydantic_config__ = _ANY_TYPE  # type: ignore[misc]
    state: dict[int, dict[str, Any]]
    param_groups: list[dict[str, Any]]


class _Content(TypedDict):
    """A checkpoint: weights alone, or with all that resuming needs."""

    __pydantic_config__ = _ANY_TYPE  # type: ignore[misc]
    state_dict: dict[str, Tensor]
    global_step: NotRequired[int]
    exact: NotRequired[_Exact]
    optimizer_states: NotRequired[list[_OptimizerState]]
    callbacks: NotRequired[dict[str, Any]]
    loops: NotRequired[dict[str, Any]]
    lr_schedulers: NotRequired[list[dict[str, Any]]]


_CONTENT: TypeAdapter[Any] = TypeAdapter(_Content)


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
        try:
            checkpoint = read_checkpoint(path)
        except DamagedCheckpointError as error:
            damaged.append(str(error))
            continue
        if "exact" not in checkpoint:
            continue  # The final weights of a finished training, which hold no state to resume from.
        check_belongs(path, checkpoint, run_id, shapes)
        return FoundPoint(ResumePoint(path, checkpoint["global_step"]), tuple(damaged))
    return FoundPoint(None, tuple(damaged))


def seal(file: IO[bytes]) -> None:
    """Give a zip file that torch has just written a comment: the checksum of every byte before it.

    The checksums of the format itself are of its records only, not of what stands between and around them.
    """
    file.seek(-2, os.SEEK_END)
    file.write(_SUM_BYTES.to_bytes(2, "little"))
    file.write(_checksum(file, file.seek(0, os.SEEK_END)))


def damage(path: Path) -> str | None:
    """What is wrong with the bytes of a checkpoint, or None if they are those that were written."""
    size = path.stat().st_size
    with path.open("rb") as file:
        before = max(size - _SUM_BYTES, 0)
        checksum = _checksum(file, before)
        file.seek(before)
        if file.read() == checksum:
            return None
        file.seek(max(size - _END_BYTES, 0))
        end = file.read()
    if end.startswith(_END) and end.endswith(b"\0\0"):
        return _record_damage(path)
    return "it is not what its checksum says"


def _checksum(file: IO[bytes], size: int) -> bytes:
    """The comment for a file whose first `size` bytes are its content."""
    file.seek(0)
    untyped: Any = google_crc32c
    checksum = untyped.Checksum()
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        checksum.update(chunk)
        size -= len(chunk)
    return b"crc32c:" + bytes(checksum.hexdigest())


def _record_damage(path: Path) -> str | None:
    """What is wrong with a file that has no comment, as torch and version 0.2 and before write them."""
    try:
        with zipfile.ZipFile(path) as file:
            record = file.testzip()
    except Exception as error:
        # A damaged header can make zipfile raise almost anything.
        return str(error) or type(error).__name__
    return None if record is None else f"wrong checksum of {record}"


def read_checkpoint(path: Path, mmap: bool = True) -> dict[str, Any]:
    """The contents of a checkpoint, once its bytes and its numbers have been checked.

    `mmap`: its tensors are mapped from the file, which is faster where not all of them are used.

    Raises:
        DamagedCheckpointError: its bytes are not those that were written.
        ValueError: it is not a checkpoint of ours: it lacks something, or says two different steps, or
            weights that are not finite.
        OSError: it cannot be read.
    """
    with path.open("rb"):
        pass  # A file that cannot be opened is not a damaged one.
    if reason := damage(path):
        raise DamagedCheckpointError(f"{path} is damaged, or no checkpoint ({reason})")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        _CONTENT.validate_python(checkpoint)
    except ValidationError as error:
        raise ValueError(
            f"{path} is not a readable checkpoint of qa_research: {_fault(error)}"
        ) from error
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        if isinstance(error, RuntimeError | UnicodeDecodeError):
            # A record that torch's own file format must have is missing.
            raise DamagedCheckpointError(
                f"{path} is damaged, or no checkpoint ({reason})"
            ) from error
        raise ValueError(f"{path} is not a readable checkpoint of qa_research: {reason}") from error
    _check_tensors(path, checkpoint)
    _check_steps(path, checkpoint)
    for name, tensor in checkpoint["state_dict"].items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{path} has weights that are not finite in {name}")
    return cast(dict[str, Any], checkpoint)


def load_network_weights(path: Path) -> dict[str, Tensor]:
    """The network's tensors in a checkpoint, under Hugging Face's names.

    Raises:
        ValueError: the file is damaged, or not a checkpoint of ours.
    """
    return network_weights(read_checkpoint(path))


def network_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's tensors, under Hugging Face's names."""
    state: Mapping[str, Tensor] = checkpoint["state_dict"]
    return {name.removeprefix("network."): tensor for name, tensor in state.items()}


def step_of(path: Path) -> int | None:
    """The optimizer step of a checkpoint, or None if it does not say."""
    return stated_step(read_checkpoint(path))


def stated_step(checkpoint: Mapping[str, Any]) -> int | None:
    """The optimizer step that a checkpoint says it is of."""
    step: int | None = checkpoint.get("global_step")
    return step


def find_checkpoint(directory: Path, which: str) -> Path:
    """The file of a checkpoint given as `best`, `last`, a step number, or a path.

    Raises:
        FileNotFoundError: it does not exist; the message lists those that do.
        ValueError: the name is empty.
    """
    if not which.strip():
        raise ValueError("--checkpoint is empty; it is best, last, a step number, or a path")
    if which in ("best", "last"):
        path = directory / f"{which}.ckpt"
    elif which.isdecimal():
        path = directory / f"step-{int(which):06d}.ckpt"
    else:
        path = Path(which).expanduser()
    if path.is_file():
        return path
    if sentence := no_weights(directory.parent):
        raise FileNotFoundError(sentence)
    found = sorted(p.stem for p in directory.glob("[!.]*.ckpt"))
    names = ", ".join(str(int(n[5:])) if n.startswith("step-") else n for n in found)
    raise FileNotFoundError(f"there is no checkpoint {which}; this run has {names or 'none'}")


def _fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"it has no {key}"
    return f"its {key} is of the wrong type" if key else "it does not hold keys with values"


def _check_tensors(path: Path, value: Any, key: str = "") -> None:
    """Refuse tensors that are more than their bytes in the file, anywhere in a checkpoint.

    Example: one number that stands for a thousand million by a stride of 0, which fills the memory when used.
    """
    if isinstance(value, Tensor):
        is_plain = value.layout == torch.strided and value.device.type == "cpu"
        if (
            not is_plain
            or value.is_quantized
            or value.is_complex()
            or value.numel() * value.itemsize > value.untyped_storage().nbytes()
        ):
            raise ValueError(
                f"{path} is not a readable checkpoint of qa_research: its {key} is not a plain array of "
                "real numbers"
            )
    elif isinstance(value, Mapping | list | tuple):
        for name, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            _check_tensors(path, part, f"{key}.{name}" if key else str(name))


def _check_steps(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose step is not that of its optimizer, of its name, or of its own state."""
    step = stated_step(checkpoint)
    others: dict[str, int] = {}
    if path.stem.startswith("step-") and path.stem[5:].isdecimal():
        others["its name"] = int(path.stem[5:])
    if "exact" in checkpoint:
        others["its state to resume from"] = checkpoint["exact"]["step"]
    counts = [
        int(state["step"])
        for optimizer in checkpoint.get("optimizer_states", [])
        for state in optimizer["state"].values()
        if "step" in state
    ]
    # In float16 the optimizer leaves out steps whose gradients overflow, which the training counts.
    if counts and _SCALER not in checkpoint:
        others["its optimizer"] = max(counts)
    for what, other in others.items():
        if other != step:
            raise ValueError(
                f"{path} says that it is of step {step}, but {what} of step {other}: it was edited, or is "
                f"not this run's"
            )


def check_belongs(
    path: Path,
    checkpoint: dict[str, Any],
    run_id: str,
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Refuse a state to go on from that is not whole, or not of a run and its network.

    `shapes`: those of the network's tensors by name.

    Raises:
        ValueError: what it lacks, or whose it is.
    """
    # Whoever resumes needs all of it; a file of weights needs none of it.
    for key in _TO_RESUME:
        if key not in checkpoint:
            raise ValueError(f"{path} cannot be resumed from: it has no {key}")
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


def steps_in(directory: Path, names: Sequence[str]) -> dict[int, str]:
    """The checkpoints of a run that these names are of, by step, earliest first.

    Raises:
        FileNotFoundError: there is none of a name.
        ValueError: one does not say its step, two are of one step, or a file is damaged.
    """
    found: dict[int, str] = {}
    for name in names:
        step = step_of(find_checkpoint(directory / "checkpoints", name))
        if step is None:
            raise ValueError(f"--steps {name}: this checkpoint does not say which step it is of")
        if step in found:
            raise ValueError(
                f"--steps names step {step:,} twice, as {found[step]} and as {name}; name it once"
            )
        found[step] = name
    return dict(sorted(found.items()))


def kept_steps(directory: Path) -> list[str]:
    """The checkpoints of a run that form a curve: all steps it kept, and the last checkpoint.

    Raises:
        ValueError: it kept no steps.
    """
    names = checkpoints_of(directory)
    steps = [name for name in names if name.isdecimal()]
    if not steps:
        if sentence := no_weights(directory):
            raise ValueError(sentence)
        raise ValueError(
            f"{directory.name} kept no steps; train it with checkpoint.keep_every_n_steps=50 to keep them"
        )
    last = directory / "checkpoints" / LAST
    if last.is_file() and step_of(last) != int(steps[-1]):
        steps.append("last")
    return steps
