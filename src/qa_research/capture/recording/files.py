"""The files of a recording: each replaced whole, all made durable together, and the root with its commit."""

import json
import os
from pathlib import Path
from typing import Any

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest
from zarr.storage import LocalStore

from qa_research.files import parse_json

# In a run's directory.
RECORDING = "recording.zarr"
FORMAT = 1
METADATA = "zarr.json"


class RecordingFiles:
    """Replaces files below `root`, each whole or not at all, and remembers which are not durable yet."""

    # Not qa_research.files: a flush replaces two files of every array, which must stay cheap, so they are
    # synced together (see `sync`), and they share one temporary file. That one is outside the recording,
    # so that a kill leaves nothing among zarr's files.

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root.with_name(f".{root.name}.tmp")
        self._directories: set[Path] = set()
        self._unsynced: set[Path] = set()

    def write(self, key: str, *parts: bytes) -> None:
        """Create or replace a file; after an OSError its earlier content is still there."""
        path = self.root / key
        if path.parent not in self._directories:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._directories.add(path.parent)
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
        self.write(METADATA, json.dumps(root).encode())

    def sync(self) -> None:
        """Make everything written since the last call durable; the root last, because it counts the rest."""
        root = self.root / METADATA
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
    """A directory where a missing chunk is an error; plain zarr would read it as fill values."""

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
    """The root's attributes, or None if the training ended before its first capture was complete.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: not a recording, one of another format, or a damaged root.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"there is no recording {path}")
    try:
        content = (path / METADATA).read_bytes()
    except FileNotFoundError:
        return None
    try:
        attributes: dict[str, Any] = parse_json(content, METADATA)["attributes"]
        found = attributes.get("format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: its {METADATA} cannot be read") from error
    if found is None:
        raise ValueError(f"{path} is not a recording of qa_research: its {METADATA} has no format")
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
