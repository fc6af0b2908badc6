"""A recording as it is read: by named axes, cut to what the commit counts, also while it grows."""

import json
import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest

from qa_research.capture.recording.files import ROOT, StrictStore, read_root
from qa_research.capture.recording.group import STEP, chunk_damage, chunk_file, words_of


class Recording:
    """The whole captures that were there when it was opened.

    `step`: of the latest one. `recorders`: the groups. `questions`: the watched ones, in the order of the
    axis `question`. `thinned`: sentences that say what was left out.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: nothing is readable yet, or it is of another format.
    """

    def __init__(self, path: Path) -> None:
        root = read_root(path)
        self.path = path
        nothing: dict[str, Any] = {"captures": {}}
        commit = root.get("commit", nothing) if root else nothing
        counts: dict[str, int] = commit["captures"]
        self._captures = {name: count for name, count in counts.items() if count}
        if not root or not self._captures:
            raise ValueError(
                f"nothing is readable yet in {path}: it holds no whole capture; the first one is "
                "there when a training's first step begins"
            )
        self.step: int = commit["step"]
        self.recorders = list(self._captures)
        self.questions: list[dict[str, Any]] = root.get("questions", [])
        self.thinned: list[str] = root["thinned"]
        self._store = _Committed(path, self._captures)

    def read(self, group: str) -> xr.Dataset:
        """What one recorder recorded; values are read when they are used, words stand for their numbers.

        A chunk that is missing or damaged is a ValueError when its values are used; see `damage`.

        Raises:
            ValueError: there is no such group, or it cannot be opened.
        """
        if group not in self._captures:
            raise ValueError(
                f"{self.path} has no group {group!r}; it has {', '.join(self.recorders)}"
            )
        try:
            found: xr.Dataset = xr.open_zarr(
                self._store, group=group, consolidated=False, chunks=None, decode_times=False
            )
        except Exception as error:
            # What zarr and xarray raise depends on which bytes are wrong.
            raise ValueError(f"{group} of {self.path} cannot be opened: {error}") from error
        names = {STEP, *found.attrs["arrays"], *found.attrs["beside"]}
        if lost := sorted(names - set(found.variables)):
            raise ValueError(
                f"{group} of {self.path} cannot be opened: {', '.join(lost)} is missing"
            )
        words = {
            name: (array.dims, words_of(array.values, array.attrs["labels"]))
            for name, array in found.coords.items()
            if "labels" in array.attrs
        }
        return found.assign_coords(words).drop_attrs(deep=False)

    def damage(self) -> list[str]:
        """What cannot be read, by group and step, and what can; every chunk is unpacked once."""
        found, whole = [], []
        for group in self.recorders:
            sentences = list(self._damage_of(group))
            found += [f"{group}: {sentence}" for sentence in sentences]
            if not sentences:
                whole.append(group)
        return [*found, f"whole: {', '.join(whole) or 'no group'}"] if found else []

    def _damage_of(self, name: str) -> Iterator[str]:
        captures = self._captures[name]
        try:
            group = zarr.open_group(self._store, path=name, mode="r")
            recorded: Any = group.attrs["arrays"]
            beside: Any = group.attrs["beside"]
        except Exception as error:
            yield f"cannot be opened ({error})"
            return
        steps = self._steps(group)
        lost: set[int] = set()
        for array in (STEP, *recorded, *beside):
            try:
                bad = self._bad_chunks(group, array)
            except Exception as error:
                yield f"{array} cannot be opened ({error})"
                lost.update(range(captures) if array in recorded else ())
                continue
            for reason, numbers in bad.items():
                if array in beside:
                    yield f"{array} cannot be read ({reason})"
                    continue
                yield f"{array} cannot be read at {_listed(numbers, steps)} ({reason})"
                lost.update(numbers)
        if lost:
            yield f"{captures - len(lost)} of {captures} captures are whole"

    def _steps(self, group: zarr.Group) -> list[int] | None:
        try:
            return [int(step) for step in np.asarray(_array(group, STEP)[...])]
        except Exception:
            # Told with the other damage; captures are counted instead.
            return None

    def _bad_chunks(self, group: zarr.Group, name: str) -> dict[str, list[int]]:
        """By what is wrong: the places along the first axis."""
        array = _array(group, name)
        length, size = array.shape[0], array.chunks[0]
        chunk_bytes = math.prod(array.chunks) * array.dtype.itemsize
        bad: dict[str, list[int]] = {}
        for number in range(-(-length // size)):
            file = self.path / chunk_file(array.path, number, array.ndim - 1)
            if reason := chunk_damage(file, chunk_bytes):
                places = range(number * size, min((number + 1) * size, length))
                bad.setdefault(reason, []).extend(places)
        return bad


class _Committed(StrictStore):
    """A recording's files as if its arrays ended where the commit does.

    Between two files of a flush, and after a kill, arrays are longer, and of different lengths.
    """

    def __init__(self, root: Path, captures: Mapping[str, int]) -> None:
        super().__init__(root, read_only=True)
        self._captures = captures

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        found = await super().get(key, prototype, byte_range)
        group = key.partition("/")[0]
        if found is None or group not in self._captures or key.rpartition("/")[2] != ROOT:
            return found
        metadata = json.loads(found.to_bytes())
        if (metadata.get("dimension_names") or [None])[0] != STEP:
            return found
        metadata["shape"][0] = self._captures[group]
        return type(found).from_bytes(json.dumps(metadata).encode())


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise ValueError(f"{name} is no array")
    return found


def _listed(numbers: list[int], steps: list[int] | None) -> str:
    """`steps 0 to 630, 650`; without steps `captures 0 to 63, 65`."""
    runs = []
    for _, pairs in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in pairs]
        ends = [run[0]] if len(run) == 1 else [run[0], run[-1]]
        runs.append(" to ".join(str(steps[end] if steps else end) for end in ends))
    return f"{'steps' if steps else 'captures'} {', '.join(runs)}"
