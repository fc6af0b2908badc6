"""Coordinates as zarr holds them: words become integers with the attribute `labels`.

An array on the disk that grows along its first axis, `step`.

zarr makes it and reads it. Growing it through zarr takes more than twice as long (each write passes an
event loop and its threads several times), so its two kinds of file are written here, as the specification
of zarr v3 says: chunks, which are zstd and then CRC-32C, and zarr.json with the shape.

One recorder's part of a recording: made in memory by zarr, then appended to, cut, and gone on with.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.abc.buffer import Buffer
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.recording.files import ROOT, Files, StrictStore

# Longer ones are not shown in messages.
SHOWN = 8


def stored(name: str, coordinate: Coordinate) -> tuple[NDArray[Any], dict[str, Any]]:
    """The numbers of a coordinate, and its attributes.

    Raises:
        ValueError: it has words and labels, or numbers that are no indices of its labels.
    """
    values = np.asarray(coordinate.values)
    if values.dtype.kind == "U":
        if coordinate.labels is not None:
            raise ValueError(f"the coordinate {name} has words, which need no labels")
        words = list(dict.fromkeys(values.ravel().tolist()))
        places = {word: place for place, word in enumerate(words)}
        numbers = [places[word] for word in values.ravel().tolist()]
        return np.array(numbers, np.int32).reshape(values.shape), {"labels": words}
    if coordinate.labels is None:
        return values, {}
    if values.dtype.kind != "i" or values.min() < 0 or values.max() >= len(coordinate.labels):
        raise ValueError(
            f"the coordinate {name} must hold integers from 0 to {len(coordinate.labels) - 1}, one "
            "for each of its labels"
        )
    return values, {"labels": list(coordinate.labels)}


def words_of(values: NDArray[Any], labels: Sequence[str]) -> NDArray[np.str_]:
    """The words that `stored` made numbers of."""
    words: NDArray[np.str_] = np.array(labels, dtype=np.str_)[values]
    return words


def difference(there: Mapping[str, zarr.Array[Any]], now: Mapping[str, Coordinate]) -> str | None:
    """How coordinates differ from those that were written, if they do."""
    if there.keys() != now.keys():
        return f"its coordinates are {_listed(there)} there, and {_listed(now)} now"
    for name, coordinate in now.items():
        metadata: Any = there[name].metadata
        then = np.asarray(there[name][...])
        values, attributes = stored(name, coordinate)
        labels, labels_now = there[name].attrs.get("labels"), attributes.get("labels")
        same = labels == labels_now and np.array_equal(then, values)
        if same and metadata.dimension_names == coordinate.axes:
            continue
        was = _shown(metadata.dimension_names, then, labels)
        return f"{name} is {was} there, and {_shown(coordinate.axes, values, labels_now)} now"
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _shown(axes: tuple[str, ...], values: NDArray[Any], labels: Any) -> str:
    sizes = " ".join(f"{axis}={n}" for axis, n in zip(axes, values.shape, strict=True))
    if values.size > SHOWN:
        return f"{sizes}, other values"
    shown: NDArray[Any] = values if labels is None else words_of(values, labels)
    return f"{sizes}: {shown.tolist()}"


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


STEP = "step"
BEGIN_ANEW = "move it away, and a new one begins with the next capture"
STEPS = Array((), np.zeros((), np.int64), "steps", "optimizer step")


class RecordedGroup:
    """The arrays of one group and how many captures they hold.

    `steps`: of the captures that are there; `unwritten`: files that are written with the next flush.
    """

    def __init__(
        self,
        files: Files,
        name: str,
        arrays: Mapping[str, GrowingArray],
        steps: Sequence[int],
        unwritten: Mapping[str, bytes],
    ) -> None:
        self.files = files
        self.name = name
        self.arrays = arrays
        self.captures = self.flushed = len(steps)
        self.latest = steps[-1] if steps else None
        self.unwritten = dict(unwritten)

    def check(self, step: int, captured: Mapping[str, Array]) -> None:
        """Raise ValueError where `captured` cannot follow what is there."""
        if self.latest is not None and step <= self.latest:
            raise ValueError(
                f"{self.name}: step {step} cannot follow step {self.latest}; steps must increase"
            )
        then = {name: a.form for name, a in self.arrays.items() if name != STEP}
        now = {name: (a.axes, a.values.shape, a.values.dtype) for name, a in captured.items()}
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name):
                was = f"is {_form(*then[name])}" if name in then else "does not exist"
                is_now = _form(*now[name]) if name in now else "not captured"
                raise ValueError(
                    f"{self.files.root}: {name} of {self.name} {was} there, and is {is_now} now; "
                    f"{BEGIN_ANEW}"
                )

    def append(self, step: int, captured: Mapping[str, Array]) -> None:
        """One more capture, for readers only after `flush` and a commit that counts it."""
        self.arrays[STEP].put(self.captures, np.array(step))
        for name, array in captured.items():
            self.arrays[name].put(self.captures, array.values)
        self.captures += 1
        self.latest = step

    def flush(self) -> None:
        """Write what is not on the disk yet."""
        for key, content in self.unwritten.items():
            self.files.write(key, content)
        for array in self.arrays.values():
            array.flush(self.captures)
        self.unwritten.clear()
        self.flushed = self.captures


def new_group(
    files: Files, name: str, captured: Mapping[str, Array], coordinates: Mapping[str, Coordinate]
) -> RecordedGroup:
    """A group without captures, of the form of `captured`; nothing is written.

    Raises:
        ValueError: arrays or coordinates do not fit each other, or cannot be stored.
    """
    _check(name, captured, coordinates)
    made: dict[str, Buffer] = {}
    attributes: dict[str, Any] = {"arrays": list(captured), "beside": list(coordinates)}
    if unlike := [c for c, coordinate in coordinates.items() if coordinate.axes != (c,)]:
        # How xarray knows a coordinate that is not named like its axis.
        attributes["coordinates"] = " ".join(unlike)
    group = zarr.create_group(MemoryStore(made), path=name, attributes=attributes)
    for key, coordinate in coordinates.items():
        values, labels = stored(key, coordinate)
        shapes = (values.shape, values.shape)
        _create(group, key, coordinate.axes, shapes, values.dtype, labels)[...] = values
    arrays = {}
    for key, array in {STEP: STEPS, **captured}.items():
        values = array.values
        shapes = ((0, *values.shape), (captures_a_chunk(values.nbytes), *values.shape))
        units = {"units": array.units, "long_name": array.long_name}
        grown = _create(group, key, (STEP, *array.axes), shapes, values.dtype, units)
        arrays[key] = GrowingArray(files, grown, made.pop(f"{grown.path}/{ROOT}").to_bytes(), 0)
    made.pop(ROOT)
    return RecordedGroup(
        files, name, arrays, [], {key: content.to_bytes() for key, content in made.items()}
    )


def commit(groups: Iterable[RecordedGroup]) -> dict[str, Any]:
    """What the root says of whole captures."""
    captures = {group.name: group.captures for group in groups}
    latest = [group.latest for group in groups if group.latest is not None]
    return {"step": max(latest, default=None), "captures": captures}


def open_group(files: Files, name: str) -> zarr.Group:
    """A group that was written before."""
    return zarr.open_group(StrictStore(files.root), path=name, mode="r+")


def steps_of(group: zarr.Group, captures: int) -> list[int]:
    """The steps of its first captures."""
    found = np.asarray(_array(group, STEP)[:captures])
    _check_length(group, STEP, len(found), captures)
    return [int(step) for step in found]


def reopened(files: Files, group: zarr.Group, steps: Sequence[int]) -> RecordedGroup:
    """A group as its first captures left it, which were made at `steps`; changes nothing.

    Raises:
        ValueError: an array, or what is needed of it, is damaged.
    """
    arrays = {}
    for name in (STEP, *_recorded(group)):
        array = _array(group, name)
        _check_length(group, name, array.shape[0], len(steps))
        metadata = (files.root / array.path / ROOT).read_bytes()
        arrays[name] = GrowingArray(files, array, metadata, len(steps))
    return RecordedGroup(files, group.path, arrays, steps, {})


def shorten(group: zarr.Group, captures: int) -> None:
    """Drop what is behind the first captures."""
    for name in (STEP, *_recorded(group)):
        array = _array(group, name)
        if array.shape[0] != captures:
            array.resize((captures, *array.shape[1:]))


def coordinates_of(group: zarr.Group) -> dict[str, zarr.Array[Any]]:
    """What stands along the axes of a group."""
    return {name: _array(group, name) for name in cast(list[str], group.attrs["beside"])}


def _recorded(group: zarr.Group) -> list[str]:
    return cast(list[str], group.attrs["arrays"])


def _check_length(group: zarr.Group, name: str, found: int, captures: int) -> None:
    if found < captures:
        raise ValueError(f"{name} of {group.path} has {found} captures instead of {captures}")


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    found = group.get(name)
    if not isinstance(found, zarr.Array):
        raise ValueError(f"{group.path} has no array {name}")
    return found


def _create(
    group: zarr.Group,
    name: str,
    axes: tuple[str, ...],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    dtype: np.dtype[Any],
    attributes: Mapping[str, Any],
) -> zarr.Array[Any]:
    """An empty array; `shapes`: of the whole and of a chunk."""
    return group.create_array(
        name,
        shape=shapes[0],
        chunks=shapes[1],
        dtype=dtype,
        fill_value=np.nan if dtype.kind == "f" else -1,
        dimension_names=axes,
        attributes=dict(attributes),
        **LAYOUT,
    )


def _check(
    group: str, captured: Mapping[str, Array], coordinates: Mapping[str, Coordinate]
) -> None:
    """Raise ValueError where arrays or coordinates do not fit each other, or cannot be stored."""
    if twice := sorted(captured.keys() & {STEP, *coordinates}):
        raise ValueError(f"{group}: {twice[0]} is the name of an array and of a coordinate")
    sizes: dict[str, tuple[int, str]] = {}
    every: dict[str, Array | Coordinate] = {**coordinates, **captured}
    for name, found in every.items():
        values = np.asarray(found.values)
        if values.ndim != len(found.axes) or len({*found.axes, STEP}) <= values.ndim:
            raise ValueError(
                f"{group}: {name} has {values.ndim} dimensions; its axes are {found.axes}, of "
                f"which each must be another one, and none {STEP!r}"
            )
        if values.dtype.kind not in ("fi" if name in captured else "fiU") or not values.size:
            raise ValueError(
                f"{group}: {name} is {values.dtype} {list(values.shape)}; what is recorded must be "
                "signed integers or floats, at least one"
            )
        for axis, size in zip(found.axes, values.shape, strict=True):
            other, owner = sizes.setdefault(axis, (size, name))
            if size != other:
                raise ValueError(
                    f"{group}: {name} has {size} along {axis}, and {owner} has {other}"
                )


def _form(axes: tuple[str, ...], shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    sizes = " ".join(f"{axis}={size}" for axis, size in zip(axes, shape, strict=True))
    return f"{dtype} [{sizes}]"
