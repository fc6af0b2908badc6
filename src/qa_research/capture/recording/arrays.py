"""Named arrays as recorders return them, and how one of them grows on disk along its first axis, `step`.

zarr creates and reads the arrays. Appending through zarr takes more than twice as long (every write passes
through an event loop and its threads several times), so the two kinds of file of a growing array are
written here, as the zarr v3 specification describes them: chunks (zstd, then CRC-32C) and zarr.json.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from qa_research.capture.recording.files import METADATA, RecordingFiles, check_is_file
from qa_research.files import parse_json

# Level -1 makes attention a seventh larger than levels 1 and 3, in 3/5 and 1/4 of their time.
ZSTD_LEVEL = -1
CHUNK_BYTES, CHUNK_CAPTURES = 65536, 64
LAYOUT: dict[str, Any] = {
    "compressors": [ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
    # Keeps all chunks of an array in one directory.
    "chunk_key_encoding": {"name": "default", "separator": "."},
    # With this, a chunk without a file is always damage.
    "config": {"write_empty_chunks": True},
}


@dataclass(frozen=True)
class Array:
    """One array of one capture. `axes` name its dimensions, without the step; its dtype is what is stored.

    `units`: of measurement, such as `nats`. `long_name`: a description of a few words.
    """

    axes: tuple[str, ...]
    values: NDArray[Any]
    units: str
    long_name: str


@dataclass(frozen=True)
class Coordinate:
    """Labels along axes: numbers, or words. Integers with `labels` are indices into them."""

    axes: tuple[str, ...]
    values: NDArray[Any] | Sequence[str]
    labels: Sequence[str] | None = None


def encode_coordinate(
    name: str, coordinate: Coordinate
) -> tuple[NDArray[Any], dict[str, list[str]]]:
    """The numbers of a coordinate and its attributes: words become indices into the attribute `labels`.

    Raises:
        ValueError: it has both words and labels, or numbers that do not index its labels.
    """
    values = np.asarray(coordinate.values)
    if values.dtype.kind == "U":
        if coordinate.labels is not None:
            raise ValueError(f"the coordinate {name} has words, which need no labels")
        # ("b", "a", "b") is stored as 0, 1, 0 with the labels ["b", "a"].
        labels = list(dict.fromkeys(values.ravel().tolist()))
        index = {word: i for i, word in enumerate(labels)}
        numbers = [index[word] for word in values.ravel().tolist()]
        return np.array(numbers, np.int32).reshape(values.shape), {"labels": labels}
    if coordinate.labels is None:
        return values, {}
    if values.dtype.kind != "i" or values.min() < 0 or values.max() >= len(coordinate.labels):
        raise ValueError(
            f"the coordinate {name} must hold integers from 0 to {len(coordinate.labels) - 1}, one "
            "for each of its labels"
        )
    return values, {"labels": list(coordinate.labels)}


def decode_words(values: NDArray[Any], labels: Sequence[str]) -> NDArray[np.str_]:
    """The words that `encode_coordinate` replaced by numbers."""
    words: NDArray[np.str_] = np.array(labels, dtype=np.str_)[values]
    return words


def captures_per_chunk(capture_bytes: int) -> int:
    """How many captures of one array share a chunk of about 64 KiB; at least 1, at most 64.

    Attention of 3 MB has a chunk to itself, logits of 4 kB share one among 16 captures, and a loss of
    32 bytes one among 64. A chunk that is not full is rewritten at every flush: hence the limits.
    """
    return min(max(CHUNK_BYTES // capture_bytes, 1), CHUNK_CAPTURES)


def chunk_file(array: str, number: int, other_axes: int) -> str:
    """The file of chunk `number` along the step, such as `logits/loss/c.3.0.0`; other axes are not split."""
    return f"{array}/c.{number}" + ".0" * other_axes


def chunk_damage(path: Path, chunk_bytes: int) -> str | None:
    """What is wrong with a chunk, which is `chunk_bytes` long when unpacked; None if it is intact."""
    try:
        check_is_file(path)
        content = path.read_bytes()
    except ValueError:
        return "not a file"
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
    """Appends captures in order; the latest one may be written again, as after a failed write.

    `array`: as zarr opened it, with the content of its zarr.json as `metadata`; its first `captures` are
    kept.
    """

    def __init__(
        self, files: RecordingFiles, array: zarr.Array[Any], metadata: bytes, captures: int
    ) -> None:
        self._files = files
        self._name = array.path
        self._metadata = parse_json(metadata, f"{array.path}/{METADATA}")
        axes: tuple[str, ...] = tuple(self._metadata["dimension_names"][1:])
        self.signature = (axes, array.shape[1:], array.dtype)
        self._fill = array.fill_value
        self._per_chunk = array.chunks[0]
        # The last chunk, as long as it is not full.
        self._chunk = np.full(array.chunks, self._fill, array.dtype)
        if filled := captures % self._per_chunk:
            self._chunk[:filled] = array[captures - filled : captures]

    def put(self, number: int, values: NDArray[Any]) -> None:
        """Capture `number`, from 0; written to disk now if it fills a chunk, else by `flush`."""
        chunk, place = divmod(number, self._per_chunk)
        if place == 0:
            self._chunk[:] = self._fill
        self._chunk[place] = values
        if place == self._per_chunk - 1:
            self._write(chunk, self._chunk)

    def flush(self, captures: int) -> None:
        """Write what `put` held back, and `captures` as the array's length."""
        if captures % self._per_chunk:
            self._write(captures // self._per_chunk, self._chunk)
        self._metadata["shape"][0] = captures
        self._files.write(f"{self._name}/{METADATA}", json.dumps(self._metadata).encode())

    def _write(self, number: int, chunk: NDArray[Any]) -> None:
        packed = Zstd(level=ZSTD_LEVEL).encode(np.ascontiguousarray(chunk))
        file = chunk_file(self._name, number, chunk.ndim - 1)
        self._files.write(file, packed, _checksum(packed))


def _checksum(packed: bytes) -> bytes:
    value: int = google_crc32c.value(packed)
    return value.to_bytes(4, "little")
