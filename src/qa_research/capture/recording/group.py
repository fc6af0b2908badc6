"""One recorder's group of a recording: created in memory by zarr, then appended to, cut back and reopened."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.buffer import Buffer
from zarr.storage import MemoryStore

from qa_research.capture.recording.arrays import (
    LAYOUT,
    Array,
    Coordinate,
    GrowingArray,
    captures_per_chunk,
    decode_words,
    encode_coordinate,
)
from qa_research.capture.recording.files import METADATA, STEP, RecordingFiles, StrictStore

STEPS = Array((), np.zeros((), np.int64), "steps", "optimizer step")
# Attributes of a group: the names of its arrays, and of the coordinates stored next to them.
ARRAYS, COORDINATES = "arrays", "beside"
START_OVER = "move it away to start a new one with the next capture"
# Coordinates with more values are not shown in messages.
SHOWN = 8


class GroupWriter:
    """The arrays of one group, and how many captures they hold.

    `steps`: of the captures written so far. `pending`: files to write with the next flush.
    """

    def __init__(
        self,
        files: RecordingFiles,
        name: str,
        arrays: Mapping[str, GrowingArray],
        steps: Sequence[int],
        pending: Mapping[str, bytes],
    ) -> None:
        self.files = files
        self.name = name
        self.arrays = arrays
        self.captures = self.flushed = len(steps)
        self.latest = steps[-1] if steps else None
        self.pending = dict(pending)

    def check(self, step: int, captured: Mapping[str, Array]) -> None:
        """Raise ValueError if `captured` cannot follow the captures before it."""
        if self.latest is not None and step <= self.latest:
            raise ValueError(
                f"{self.name}: step {step} cannot follow step {self.latest}; steps must increase"
            )
        before = {name: a.signature for name, a in self.arrays.items() if name != STEP}
        now = {name: (a.axes, a.values.shape, a.values.dtype) for name, a in captured.items()}
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                was = _signature(*before[name]) if name in before else "missing"
                got = _signature(*now[name]) if name in now else "no such array"
                raise ValueError(
                    f"{self.files.root}: {name} of {self.name} is {was} in the recording, but this "
                    f"capture has {got}; {START_OVER}"
                )

    def append(self, step: int, captured: Mapping[str, Array]) -> None:
        """Add a capture; readers see it after `flush` and a commit that counts it."""
        self.arrays[STEP].put(self.captures, np.array(step))
        for name, array in captured.items():
            self.arrays[name].put(self.captures, array.values)
        self.captures += 1
        self.latest = step

    def flush(self) -> None:
        """Write everything that is not on disk yet."""
        for key, content in self.pending.items():
            self.files.write(key, content)
        for array in self.arrays.values():
            array.flush(self.captures)
        self.pending.clear()
        self.flushed = self.captures


def new_group(
    files: RecordingFiles,
    name: str,
    captured: Mapping[str, Array],
    coordinates: Mapping[str, Coordinate],
) -> GroupWriter:
    """A group without captures, for arrays like `captured`; writes nothing yet.

    Raises:
        ValueError: arrays and coordinates do not fit each other, or cannot be stored.
    """
    _check_sizes(name, captured, coordinates)
    made: dict[str, Buffer] = {}
    attributes: dict[str, Any] = {ARRAYS: list(captured), COORDINATES: list(coordinates)}
    if unlike := [c for c, coordinate in coordinates.items() if coordinate.axes != (c,)]:
        # By this attribute xarray recognises coordinates that are not named after their axis.
        attributes["coordinates"] = " ".join(unlike)
    group = zarr.create_group(MemoryStore(made), path=name, attributes=attributes)
    for key, coordinate in coordinates.items():
        values, labels = encode_coordinate(key, coordinate)
        shape = values.shape
        _create(group, key, coordinate.axes, shape, shape, values.dtype, labels)[...] = values
    arrays = {}
    for key, array in {STEP: STEPS, **captured}.items():
        values = array.values
        empty, chunk = (0, *values.shape), (captures_per_chunk(values.nbytes), *values.shape)
        units = {"units": array.units, "long_name": array.long_name}
        grown = _create(group, key, (STEP, *array.axes), empty, chunk, values.dtype, units)
        arrays[key] = GrowingArray(
            files, grown, made.pop(f"{grown.path}/{METADATA}").to_bytes(), captures=0
        )
    made.pop(METADATA)
    return GroupWriter(
        files, name, arrays, [], {key: content.to_bytes() for key, content in made.items()}
    )


def open_group(files: RecordingFiles, name: str) -> zarr.Group:
    """A group written earlier."""
    return zarr.open_group(StrictStore(files.root), path=name, mode="r+")


def read_steps(group: zarr.Group, captures: int) -> list[int]:
    """The steps of the first captures of a group."""
    found = np.asarray(array_of(group, STEP)[:captures])
    _check_length(group, STEP, len(found), captures)
    return [int(step) for step in found]


def reopen_group(files: RecordingFiles, group: zarr.Group, steps: Sequence[int]) -> GroupWriter:
    """A group with only its first captures, which were made at `steps`; changes nothing on disk.

    Raises:
        ValueError: an array is damaged where it is to be continued.
    """
    arrays = {}
    for name in (STEP, *_names(group, ARRAYS)):
        array = array_of(group, name)
        _check_length(group, name, array.shape[0], len(steps))
        metadata = (files.root / array.path / METADATA).read_bytes()
        arrays[name] = GrowingArray(files, array, metadata, len(steps))
    return GroupWriter(files, group.path, arrays, steps, {})


def truncate_group(group: zarr.Group, captures: int) -> None:
    """Drop everything after the first captures."""
    for name in (STEP, *_names(group, ARRAYS)):
        array = array_of(group, name)
        if array.shape[0] != captures:
            array.resize((captures, *array.shape[1:]))


def coordinate_difference(group: zarr.Group, now: Mapping[str, Coordinate]) -> str | None:
    """How coordinates differ from the stored ones, in words; None if they do not."""
    stored = {name: array_of(group, name) for name in _names(group, COORDINATES)}
    if stored.keys() != now.keys():
        was, got = (", ".join(sorted(names)) or "none" for names in (stored, now))
        return f"{group.path}: its coordinates were {was}, and are now {got}"
    for name, coordinate in now.items():
        metadata: Any = stored[name].metadata
        before = np.asarray(stored[name][...])
        values, attributes = encode_coordinate(name, coordinate)
        labels: Any = stored[name].attrs.get("labels")
        recorded = metadata.dimension_names, before.tolist(), labels
        if recorded != (coordinate.axes, values.tolist(), attributes.get("labels")):
            shown = _shown(metadata.dimension_names, before, labels)
            got = _shown(coordinate.axes, values, attributes.get("labels"))
            return f"{group.path}: {name} was {shown}, and is now {got}"
    return None


def array_of(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """An array of a group; ValueError if there is none of that name."""
    found = group.get(name)
    if not isinstance(found, zarr.Array):
        raise ValueError(f"{group.path} has no array {name}")
    return found


def _names(group: zarr.Group, attribute: str) -> list[str]:
    return cast(list[str], group.attrs[attribute])


def _check_length(group: zarr.Group, name: str, found: int, captures: int) -> None:
    if found < captures:
        raise ValueError(f"{name} of {group.path} has {found} captures instead of {captures}")


def _create(
    group: zarr.Group,
    name: str,
    axes: tuple[str, ...],
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    dtype: np.dtype[Any],
    attributes: Mapping[str, Any],
) -> zarr.Array[Any]:
    return group.create_array(
        name,
        shape=shape,
        chunks=chunk,
        dtype=dtype,
        fill_value=np.nan if dtype.kind == "f" else -1,
        dimension_names=axes,
        attributes=dict(attributes),
        **LAYOUT,
    )


def _check_sizes(
    group: str, captured: Mapping[str, Array], coordinates: Mapping[str, Coordinate]
) -> None:
    """Raise ValueError if arrays and coordinates do not fit each other, or cannot be stored."""
    if twice := sorted(captured.keys() & {STEP, *coordinates}):
        raise ValueError(f"{group}: {twice[0]} is the name of an array and of a coordinate")
    sizes: dict[str, tuple[int, str]] = {}
    members: Iterable[tuple[str, Array | Coordinate]] = [*coordinates.items(), *captured.items()]
    for name, member in members:
        values = np.asarray(member.values)
        if values.ndim != len(member.axes) or len({*member.axes, STEP}) <= values.ndim:
            raise ValueError(
                f"{group}: {name} has {values.ndim} dimensions; its axes are {member.axes}, which "
                f"must all differ, and none may be {STEP!r}"
            )
        if values.dtype.kind not in ("fi" if name in captured else "fiU") or not values.size:
            raise ValueError(
                f"{group}: {name} is {values.dtype} {list(values.shape)}; recorded values must be "
                "signed integers or floats, and at least one"
            )
        for axis, size in zip(member.axes, values.shape, strict=True):
            other, owner = sizes.setdefault(axis, (size, name))
            if size != other:
                raise ValueError(
                    f"{group}: {name} has {size} along {axis}, and {owner} has {other}"
                )


def _signature(axes: tuple[str, ...], shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    return f"{dtype} [{_sizes(axes, shape)}]"


def _shown(axes: tuple[str, ...], values: NDArray[Any], labels: Sequence[str] | None) -> str:
    sizes = _sizes(axes, values.shape)
    if values.size > SHOWN:
        return f"{sizes} with other values"
    shown: NDArray[Any] = values if labels is None else decode_words(values, labels)
    return f"{sizes}: {shown.tolist()}"


def _sizes(axes: tuple[str, ...], shape: tuple[int, ...]) -> str:
    return " ".join(f"{axis}={size}" for axis, size in zip(axes, shape, strict=True))
