"""Checkpoints written atomically, with the one before kept as previous.ckpt."""

import errno
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from qa_research.files import written_whole
from qa_research.runs.checkpoints import LAST, PREVIOUS


class DurableCheckpointIO(CheckpointIO):
    """Writes to a temporary file, syncs and renames it. The old last.ckpt becomes previous.ckpt.

    Damage is found by the checksums of torch's own file format, which has a CRC-32 for every record.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        target = Path(path)
        try:
            with written_whole(target, "wb", durable=True) as file:
                torch.save(checkpoint, file)
                if target.name == LAST and target.exists():
                    # previous.ckpt may only be replaced once the new state is on the disk.
                    file.flush()
                    os.fsync(file.fileno())
                    _keep_as(target.with_name(PREVIOUS), target)
        except (OSError, RuntimeError) as error:
            raise _could_not_write(target, error) from error

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def _could_not_write(target: Path, error: OSError | RuntimeError) -> OSError:
    """The disk's own reason, which torch may have wrapped, and what can still be resumed from."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    number = errno.EIO if cause is None or cause.errno is None else cause.errno
    reason = str(error).splitlines()[0] if cause is None else os.strerror(number)
    intact = f"; the previous {target.name} is intact" if target.exists() else ""
    return OSError(number, f"{target} could not be written ({reason}){intact}")


def _keep_as(previous: Path, target: Path) -> None:
    """Make `previous` a second name of `target`, so that one of the two exists at all times."""
    second = previous.with_name(f".{previous.name}.tmp")
    second.unlink(missing_ok=True)
    try:
        os.link(target, second)
    except OSError:
        # The file system has no hard links: until the new file is renamed, only previous.ckpt exists.
        os.replace(target, previous)
        return
    os.replace(second, previous)
