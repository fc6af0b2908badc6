"""The directory of a recording: its files, each replaced whole, and its root with the commit."""

import json
import os
from pathlib import Path
from typing import Any

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest
from zarr.storage import LocalStore

# In a run's directory.
RECORDING = "recording.zarr"
FORMAT = 1
ROOT = "zarr.json"


class Files:
    """Writes files below `root`, each whole or not at all, and knows which are not durable yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Beside the root: what a kill leaves of it does not stand among zarr's own files.
        self._temporary = root.with_name(f".{root.name}.tmp")
        self._made: set[Path] = set()
        self._unsynced: set[Path] = set()

    def write(self, key: str, *parts: bytes) -> None:
        """Put a file in the place of the one that may be there; that one is still whole after an OSError."""
        path = self.root / key
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        try:
            with self._temporary.open("wb") as file:
                file.writelines(parts)
            os.replace(self._temporary, path)
        except OSError:
            self._temporary.unlink(missing_ok=True)
            raise
        self._unsynced.add(path)

    def write_root(self, attributes: dict[str, Any]) -> None:
        """Replace the root's attributes."""
        root = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        self.write(ROOT, json.dumps(root).encode())

    def sync(self) -> None:
        """Make all durable that was written since the last time, the root after what it counts."""
        root = self.root / ROOT
        directories = set()
        for path in sorted(self._unsynced, key=lambda path: path == root):
            _sync(path, os.O_RDWR)
            above = list(path.parents)
            directories.update(above[: above.index(self.root.parent) + 1])
        # Windows cannot sync directories.
        if os.name != "nt":
            for directory in directories:
                _sync(directory, os.O_RDONLY)
        self._unsynced.clear()


class StrictStore(LocalStore):
    """A directory in which a missing chunk is an error; to zarr alone it is nothing but fill values."""

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        found = await super().get(key, prototype, byte_range)
        if found is None and key.rpartition("/")[2].startswith("c."):
            raise ValueError(f"{self.root / key} is missing")
        return found


def read_root(path: Path) -> dict[str, Any] | None:
    """The root's attributes, or None: the training ended before its first capture was whole.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: it is no recording, one of another format, or its root is damaged.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"there is no recording {path}")
    try:
        content = (path / ROOT).read_bytes()
    except FileNotFoundError:
        return None
    try:
        attributes: dict[str, Any] = json.loads(content)["attributes"]
        found = attributes.get("format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: its {ROOT} cannot be read") from error
    if found is None:
        raise ValueError(f"{path} is no recording of qa_research: its {ROOT} names no format")
    if found != FORMAT:
        raise ValueError(
            f"{path} is a recording of format {found}; this version reads format {FORMAT}"
        )
    return attributes


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
