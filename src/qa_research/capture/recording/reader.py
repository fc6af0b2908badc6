"""Reading a recording by named axes, also while it grows: only what its commit counts. Finds damage too."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest

from qa_research.capture.recording.arrays import chunk_damage, chunk_file, decode_words
from qa_research.capture.recording.files import METADATA, STEP, StrictStore, check_sum, read_root
from qa_research.capture.recording.group import ARRAYS, COORDINATES, array_of
from qa_research.files import parse_json
from qa_research.text import aligned, disarmed

# Of watched questions, so that a recording is told on one screen.
MOST_SHOWN = 12


class Recording:
    """The complete captures that existed when it was opened.

    `step`: of the latest one. `recorders`: the groups. `questions`: the watched ones, in the order of the
    axis `question`. `skipped`: sentences about what was not captured.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: nothing is readable yet, or it has another format.
    """

    def __init__(self, path: Path) -> None:
        root = read_root(path)
        self.path = path
        commit: dict[str, Any] = (root or {}).get("commit", {"captures": {}})
        self._captures = {name: count for name, count in commit["captures"].items() if count}
        if not root or not self._captures:
            raise ValueError(
                f"nothing is readable yet in {path}: it has no complete capture; the first one is "
                "written when training starts"
            )
        self.step: int = commit["step"]
        self.recorders = list(self._captures)
        self.questions = _with_own_ids(root.get("questions", []))
        # What the network says of an example, of another task than answering; see watched.describe.
        self.outputs: dict[str, Any] | None = root.get("outputs")
        self.skipped: list[str] = root["thinned"]
        self._store = _CommittedStore(path, self._captures, root.get("sums"))

    def read(self, group: str) -> xr.Dataset:
        """What one recorder recorded, with words instead of their indices; values are loaded when used.

        Questions are selected by their number or their id: `sel(question=0)`, `sel(id="19818")`.

        A missing or damaged chunk is a ValueError when its values are loaded; see `damage`.

        Raises:
            ValueError: there is no such group, or it cannot be opened.
        """
        if group not in self._captures:
            raise ValueError(
                f"{self.path} has no group {group!r}; it has {', '.join(self.recorders)}"
            )
        try:
            self._open_arrays(group)
            found: xr.Dataset = xr.open_zarr(
                self._store, group=group, consolidated=False, chunks=None, decode_times=False
            )
            words = {
                name: (array.dims, decode_words(array.values, array.attrs["labels"]))
                for name, array in found.coords.items()
                if "labels" in array.attrs
            }
            needed = {STEP, *found.attrs[ARRAYS], *found.attrs[COORDINATES]}
        except Exception as error:
            # What zarr and xarray raise depends on which bytes are wrong.
            raise ValueError(f"{group} of {self.path} cannot be opened: {error}") from error
        if lost := sorted(needed - set(found.variables)):
            raise ValueError(
                f"{group} of {self.path} cannot be opened: {', '.join(lost)} is missing"
            )
        found = found.assign_coords(words).drop_attrs(deep=False)
        if "question" not in found.dims:
            return found
        ids = [str(row["id"]) for row in self.questions]
        return found.assign_coords(id=("question", ids)).set_xindex("id")

    def __repr__(self) -> str:
        lines = [f"{self.path}, until step {self.step:,}"]
        rows = [
            (f"  {name}", f"{self._captures[name]:,} captures", ", ".join(self._arrays_of(name)))
            for name in self.recorders
        ]
        asked = [
            (f"  {row['id']}", str(row["split"]), str(row["kind"]), disarmed(str(row["question"])))
            for row in self.questions[:MOST_SHOWN]
        ]
        more = len(self.questions) - len(asked)
        watched = "watched questions" if self.outputs is None else "watched examples"
        lines += [*aligned(rows), watched, *aligned(asked)]
        return "\n".join([*lines, *([f"  and {more} more"] if more else [])])

    def _arrays_of(self, group: str) -> list[str]:
        """The arrays of a group with their axes but `step`, which all have."""
        found = self.read(group)
        return [
            f"{name} [{' '.join(str(axis) for axis in array.dims if axis != STEP)}]"
            for name, array in found.data_vars.items()
        ]

    def _open_arrays(self, group: str) -> None:
        """Open one array after the other: xarray opens all at once, and of what is wrong with them zarr
        logs all but the first as tracebacks.
        """
        opened = zarr.open_group(self._store, path=group, mode="r", zarr_format=3)
        for folder in sorted((self.path / group).iterdir()):
            if (folder / METADATA).is_file():
                array_of(opened, folder.name)

    def find_question(self, wanted: str) -> int:
        """The index of a watched example by its id or its text, or by a part that no other one has.

        Raises:
            ValueError: no watched example matches, or several do.
        """
        noun = "question" if self.outputs is None else "example"
        ids = [str(row["id"]) for row in self.questions]
        texts = [str(row.get("question", "")).casefold() for row in self.questions]
        if not wanted.strip():
            raise ValueError(
                f"--{noun} is empty; give the id or the text of a watched {noun}, or a part of it"
            )
        matching = [i for i, name in enumerate(ids) if name == wanted]
        matching = matching or [i for i, name in enumerate(ids) if wanted in name]
        folded = wanted.casefold()
        matching = matching or [i for i, text in enumerate(texts) if text == folded]
        matching = matching or [i for i, text in enumerate(texts) if folded in text]
        if len(matching) == 1:
            return matching[0]
        shown = ", ".join(ids[i] for i in (matching or range(len(ids)))[:8])
        if matching:
            raise ValueError(f"--{noun} {wanted} matches {len(matching)} watched {noun}s: {shown}")
        more = f" and {len(ids) - 8} more" if len(ids) > 8 else ""
        raise ValueError(f"--{noun} {wanted} was not watched; these were: {shown}{more}")

    def damage(self) -> list[str]:
        """What cannot be read, by group and step, and what can; empty if intact. Unpacks every chunk."""
        found, intact = [], []
        for group in self.recorders:
            sentences = list(self._damage_of(group))
            found += [f"{group}: {sentence}" for sentence in sentences]
            if not sentences:
                intact.append(group)
        return [*found, f"intact: {', '.join(intact) or 'no group'}"] if found else []

    def _damage_of(self, name: str) -> Iterator[str]:
        captures = self._captures[name]
        try:
            group = zarr.open_group(self._store, path=name, mode="r")
            recorded: Any = group.attrs[ARRAYS]
            coordinates: Any = group.attrs[COORDINATES]
        except Exception as error:
            yield f"cannot be opened ({error})"
            return
        steps = _readable_steps(group)
        lost: set[int] = set()
        for array in (STEP, *recorded, *coordinates):
            try:
                bad = self._bad_captures(group, array)
            except Exception as error:
                yield f"{array} cannot be opened ({error})"
                if array in recorded:
                    lost.update(range(captures))
                continue
            for reason, numbers in bad.items():
                if array in coordinates:
                    yield f"{array} cannot be read ({reason})"
                    continue
                yield f"{array} cannot be read at {_ranges(numbers, steps)} ({reason})"
                lost.update(numbers)
        if lost:
            yield f"{captures - len(lost)} of {captures} captures are intact"

    def _bad_captures(self, group: zarr.Group, name: str) -> dict[str, list[int]]:
        """Numbers of the captures (of a coordinate: indices) that cannot be read, by the reason."""
        array = array_of(group, name)
        length, size = array.shape[0], array.chunks[0]
        chunk_bytes = math.prod(array.chunks) * array.dtype.itemsize
        bad: dict[str, list[int]] = {}
        for number, first in enumerate(range(0, length, size)):
            file = self.path / chunk_file(array.path, number, array.ndim - 1)
            if reason := chunk_damage(file, chunk_bytes):
                bad.setdefault(reason, []).extend(range(first, min(first + size, length)))
        return bad


def _with_own_ids(questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The questions with ids that tell them apart: `train/7` where both splits have a 7."""
    counts = Counter(str(row["id"]) for row in questions)
    return [
        {**row, "id": f"{row['split']}/{row['id']}" if counts[str(row["id"])] > 1 else row["id"]}
        for row in questions
    ]


class _CommittedStore(StrictStore):
    """Shows a recording's arrays as long as the commit says.

    On disk they may be longer, and of different lengths: between two files of a flush, and after a kill.
    `sums`: the checksums of their zarr.json, None in format 1.
    """

    def __init__(
        self, root: Path, captures: Mapping[str, int], sums: Mapping[str, int] | None
    ) -> None:
        super().__init__(root, read_only=True)
        self._captures = captures
        self._sums = sums

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        found = await super().get(key, prototype, byte_range)
        group = key.partition("/")[0]
        if found is None or group not in self._captures or key.rpartition("/")[2] != METADATA:
            return found
        content = found.to_bytes()
        check_sum(self.root, key, content, self._sums)
        metadata = parse_json(content, key)
        if (metadata.get("dimension_names") or [None])[0] != STEP:
            return found
        metadata["shape"][0] = self._captures[group]
        return type(found).from_bytes(json.dumps(metadata).encode())


def _readable_steps(group: zarr.Group) -> list[int] | None:
    """The group's steps; None if they are damaged, which is reported with the other damage."""
    try:
        return [int(step) for step in np.asarray(array_of(group, STEP)[...])]
    except Exception:
        return None


def _ranges(numbers: list[int], steps: list[int] | None) -> str:
    """`steps 0 to 630, 650`; if the steps are unknown `captures 0 to 63, 65`."""
    runs = []
    # Numbers that follow each other keep their distance from their place: 3, 4, 9 -> 3-0, 4-1, 9-2.
    for _, pairs in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in pairs]
        ends = [run[0]] if len(run) == 1 else [run[0], run[-1]]
        runs.append(" to ".join(str(steps[end] if steps else end) for end in ends))
    return f"{'steps' if steps else 'captures'} {', '.join(runs)}"
