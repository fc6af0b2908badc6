"""Checkpoints written whole or not at all."""

import errno
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from qa_research.runs.checkpoints import LAST, PREVIOUS


class DurableCheckpointIO(CheckpointIO):
    """Writes to a temporary name, syncs, renames; keeps the last.ckpt before this one as previous.ckpt.

    The checksums are those of torch's own file format: a CRC-32 for every record.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        try:
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            raise _could_not_write(target, error) from error
        if target.name == LAST and target.exists():
            _keep(target, target.with_name(PREVIOUS))
        os.replace(temporary, target)
        _sync_directory(target.parent)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def _could_not_write(target: Path, error: OSError | RuntimeError) -> OSError:
    """The disk's own reason, which torch may have wrapped, and what is still there."""
    reason: BaseException | None = error
    while reason is not None and not isinstance(reason, OSError):
        reason = reason.__context__
    number = errno.EIO if reason is None or reason.errno is None else reason.errno
    text = str(error).splitlines()[0] if reason is None else os.strerror(number)
    kept = f"; the {target.name} from before is whole" if target.exists() else ""
    return OSError(number, f"{target} could not be written ({text}){kept}")


def _keep(target: Path, previous: Path) -> None:
    """Give `target` a second name, so that at no time there is neither of the two."""
    second = previous.with_name(f".{previous.name}.tmp")
    second.unlink(missing_ok=True)
    try:
        os.link(target, second)
    except OSError:
        # A file system without links. In between, previous.ckpt alone is there.
        os.replace(target, previous)
        return
    os.replace(second, previous)


def _sync_directory(directory: Path) -> None:
    """Make the renames themselves durable, where directories can be synced."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
