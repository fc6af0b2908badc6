"""Files that are made once and read again: each ends with a checksum, and a damaged one is not believed.

A file is its content, then the sha256 of that (32 bytes) and MARK. Readers that know where their format
ends, as Arrow, SQLite and numpy do, read it in place.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from qa_research.files import written_whole

log = logging.getLogger(__name__)
MARK = b"sha256\n\n"
CHUNK = 1 << 20
FOOTER_BYTES = hashlib.sha256().digest_size + len(MARK)


class DamagedError(ValueError):
    """A cached file is not what was written."""


def made_once(path: Path, what: str, make: Callable[[IO[bytes]], None]) -> int:
    """How many bytes of content the file has, which `make` writes if there is none or it is damaged.

    `what`: what the log calls it, such as "vocabulary". A damaged one is named there.
    """
    if path.exists():
        try:
            return content_bytes(path)
        except DamagedError as error:
            warn_damaged(path, what, error)
    with written_checked(path) as file:
        make(file)
    return path.stat().st_size - FOOTER_BYTES


@contextmanager
def written_checked(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, whole or not at all, that gets its checksum at the end."""
    with written_whole(path, "w+b") as file:
        yield file
        file.flush()
        file.seek(0)
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        file.write(digest.digest() + MARK)


def content_bytes(path: Path) -> int:
    """How many bytes the content of a cached file has, all of which are compared with its checksum.

    Raises:
        DamagedError: they are not what was written.
    """
    size = path.stat().st_size - FOOTER_BYTES
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = max(size, 0)
        while chunk := file.read(min(left, CHUNK)):
            digest.update(chunk)
            left -= len(chunk)
        footer = file.read()
    if size < 0 or not footer.endswith(MARK):
        raise DamagedError("its end is missing")
    if footer != digest.digest() + MARK:
        raise DamagedError("it is not what its checksum says")
    return size


def warn_damaged(path: Path, what: str, error: Exception) -> None:
    """Say in the log that a cached file is damaged and will be made again."""
    log.warning("The cached %s %s is damaged (%s); making it again", what, path, error)
