"""Files written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def written_whole(path: Path, mode: str = "w", durable: bool = False) -> Iterator[IO[Any]]:
    """A file to write to, which takes the place of `path` only once it is complete.

    Readers see the earlier content or the new one, never a part; after an exception the earlier content
    remains. Text is UTF-8. `durable`: it also survives a power cut, which costs a sync of the disk.

    Example:
        with written_whole(directory / "run.json") as file:
            json.dump(record, file)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process number keeps two writers of one path from sharing a temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with temporary.open(mode, **text) as file:  # type: ignore[call-overload]
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Write a text file whole or not at all."""
    with written_whole(path, durable=durable) as file:
        file.write(text)


def write_bytes(path: Path, content: bytes, durable: bool = False) -> None:
    """Write a binary file whole or not at all."""
    with written_whole(path, "wb", durable=durable) as file:
        file.write(content)


def sync_directory(directory: Path) -> None:
    """Make the renames in a directory survive a power cut, where directories can be synced."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        # Some network file systems cannot sync a directory; the rename itself still holds.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
