"""An array on the disk that grows along its first axis, `step`.

zarr makes it and reads it. Growing it through zarr takes more than twice as long (each write passes an
event loop and its threads several times), so its two kinds of file are written here, as the specification
of zarr v3 says: chunks, which are zstd and then CRC-32C, and zarr.json with the shape.
"""

import json
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from qa_research.capture.disk import ROOT, Files

# Attention becomes a seventh larger than with level 1 or 3, in three fifths and a quarter of their time.
ZSTD_LEVEL = -1
# Small captures share a chunk, which is rewritten until it is full.
CHUNK_BYTES, CHUNK_CAPTURES = 65536, 64
LAYOUT: dict[str, Any] = {
    "compressors": [ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
    # All chunks of an array lie in one directory.
    "chunk_key_encoding": {"name": "default", "separator": "."},
    # So that a chunk without a file is always damage.
    "config": {"write_empty_chunks": True},
}


def captures_a_chunk(capture_bytes: int) -> int:
    """How many captures of that size share one chunk."""
    return min(max(CHUNK_BYTES // capture_bytes, 1), CHUNK_CAPTURES)


def chunk_file(array: str, number: int, axes: int) -> str:
    """Where the chunk `number` along the step lies; `axes`: how many there are beside it."""
    return f"{array}/c.{number}" + ".0" * axes


def chunk_damage(path: Path, chunk_bytes: int) -> str | None:
    """What is wrong with a chunk, which has `chunk_bytes` when unpacked; None: it is whole."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return "no file" if isinstance(error, FileNotFoundError) else str(error)
    if not content:
        return "an empty file"
    packed, checksum = content[:-4], content[-4:]
    if _checksum(packed) != checksum:
        return "a wrong checksum"
    try:
        size = len(Zstd().decode(packed))
    except RuntimeError as error:
        return str(error)
    return None if size == chunk_bytes else f"{size} bytes instead of {chunk_bytes}"


class GrowingArray:
    """Takes captures in their order; any may be put again before the next one is.

    `array`: as zarr knows it, with its zarr.json as `metadata`; `captures` of it are kept.
    """

    def __init__(
        self, files: Files, array: zarr.Array[Any], metadata: bytes, captures: int
    ) -> None:
        self._files = files
        self._name = array.path
        self._metadata = json.loads(metadata)
        axes: tuple[str, ...] = tuple(self._metadata["dimension_names"][1:])
        self.form = (axes, array.shape[1:], array.dtype)
        self._fill = array.fill_value
        self._per_chunk = array.chunks[0]
        # The chunk that is not full yet.
        self._chunk = np.full(array.chunks, self._fill, array.dtype)
        if filled := captures % self._per_chunk:
            self._chunk[:filled] = array[captures - filled : captures]

    def put(self, number: int, values: NDArray[Any]) -> None:
        """Capture `number`, counted from 0; on the disk at once where it fills a chunk."""
        place = number % self._per_chunk
        if self._per_chunk == 1:
            self._write(number, values[None])
            return
        if place == 0:
            self._chunk[:] = self._fill
        self._chunk[place] = values
        if place == self._per_chunk - 1:
            self._write(number // self._per_chunk, self._chunk)

    def flush(self, captures: int) -> None:
        """Write the rest of so many captures, and the length."""
        if captures % self._per_chunk:
            self._write(captures // self._per_chunk, self._chunk)
        self._metadata["shape"][0] = captures
        self._files.write(f"{self._name}/{ROOT}", json.dumps(self._metadata).encode())

    def _write(self, number: int, chunk: NDArray[Any]) -> None:
        packed = Zstd(level=ZSTD_LEVEL).encode(np.ascontiguousarray(chunk))
        file = chunk_file(self._name, number, chunk.ndim - 1)
        self._files.write(file, packed, _checksum(packed))


def _checksum(packed: bytes) -> bytes:
    value: int = google_crc32c.value(packed)
    return value.to_bytes(4, "little")
