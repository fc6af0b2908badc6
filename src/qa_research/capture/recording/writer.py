"""Writing a recording: captures are appended while a training runs, and survive a kill at any moment.

A flush writes the data first and then commits it: (1) the chunks of every array, (2) every array's zarr.json
with its new length, (3) the root zarr.json, whose `commit` says how many captures each group has. Each file
is replaced whole, and readers ignore whatever goes beyond the commit. So a kill between any two files loses
at most the captures since the last flush. Cutting back goes the other way: the commit first, then the arrays.
"""

import json
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import zarr

from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.recording.files import FORMAT, RecordingFiles, read_root
from qa_research.capture.recording.group import (
    START_OVER,
    GroupWriter,
    coordinate_difference,
    coordinates_of,
    new_group,
    open_group,
    read_steps,
    reopen_group,
    truncate_group,
)

# A flush rewrites two files of every array: 20 ms, or 200 ms on a disk that others keep busy.
FLUSH_EVERY_S = 10.0
FLUSH_MAX_SHARE = 0.0015


@dataclass(frozen=True)
class Truncated:
    """What a recording still holds after it was cut back."""

    files: RecordingFiles
    groups: dict[str, GroupWriter]
    thinned: list[str]


class RecordingWriter:
    """Appends captures; the recording is readable while it grows, and intact after a kill.

    `about`: the root's attributes, such as `questions`. `coordinates`: by group. `truncated`: see `resume`.

    A capture that fills chunks of its own is written at once; the rest waits for the next flush. `append`
    flushes after the first capture, and then every 10 s, or less often if flushes would take more than
    0.15 % of the time: one of 200 ms is followed by 0.2 / 0.0015 = 133 s without.

    Raises:
        FileExistsError: there is already something at `path`, which is not being resumed.
    """

    def __init__(
        self,
        path: Path,
        about: Mapping[str, Any],
        coordinates: Mapping[str, Mapping[str, Coordinate]],
        truncated: Truncated | None = None,
    ) -> None:
        if truncated is None and path.exists():
            raise FileExistsError(f"there is already a recording {path}; {START_OVER}")
        state = truncated or Truncated(RecordingFiles(path), {}, [])
        self._files, self._groups, self._thinned = state.files, state.groups, state.thinned
        self._about = dict(about)
        self._coordinates = coordinates
        self._noted = False
        self._next_flush = -float("inf")

    @classmethod
    def resume(
        cls,
        path: Path,
        about: Mapping[str, Any],
        coordinates: Mapping[str, Mapping[str, Coordinate]],
        step: int,
    ) -> Self:
        """Drop the captures after `step`, for good, and append to the rest.

        A recording that was killed before its first capture was complete starts over.

        Raises:
            FileNotFoundError: there is no such directory.
            ValueError: another format, other questions, other coordinates, or damage. Other arrays are
                found by the first `append`.
        """
        return cls(path, about, coordinates, cut_back(path, about, coordinates, step))

    def append(self, step: int, captured: Mapping[str, Mapping[str, Array]]) -> None:
        """Add one capture, of all groups or some. The values may change afterwards.

        Raises:
            ValueError: the step does not come after the latest one of a group, or arrays differ from those
                of earlier captures, or do not fit each other and the coordinates. Then nothing is added.
            OSError: it could not be written. The groups before the failed one have been added; the others
                can be appended again.
        """
        groups = {
            name: self._groups.get(name)
            or new_group(self._files, name, arrays, self._coordinates.get(name, {}))
            for name, arrays in captured.items()
        }
        for name, group in groups.items():
            group.check(step, captured[name])
        for name, group in groups.items():
            group.append(step, captured[name])
            self._groups[name] = group
        if time.monotonic() >= self._next_flush:
            self.flush()

    def flush(self) -> None:
        """Let readers see all captures: arrays first, then the commit."""
        started = time.monotonic()
        # Creating groups takes longer than any later flush will.
        creates_groups = any(group.pending for group in self._groups.values())
        changed = [group for group in self._groups.values() if group.captures != group.flushed]
        for group in changed:
            group.flush()
        if changed or self._noted:
            groups = self._groups.values()
            thinned = {"thinned": self._thinned, "commit": _commit(groups)}
            self._files.write_root({"format": FORMAT, **self._about, **thinned})
            self._noted = False
        now = time.monotonic()
        took_s = 0.0 if creates_groups else now - started
        self._next_flush = now + max(FLUSH_EVERY_S, took_s / FLUSH_MAX_SHARE)

    def sync(self) -> None:
        """Flush, and make it all durable, so that it survives a power cut too."""
        self.flush()
        self._files.sync()

    def note(self, sentence: str) -> None:
        """Say in the recording, from the next flush on, what was skipped."""
        if sentence not in self._thinned:
            self._thinned.append(sentence)
            self._noted = True


def cut_back(
    path: Path,
    about: Mapping[str, Any],
    coordinates: Mapping[str, Mapping[str, Coordinate]],
    step: int,
) -> Truncated:
    """Drop the captures after `step`, or the whole recording if it has no complete capture yet.

    Cutting captures made at 0, 10, 20 and 30 back to step 25 leaves the first three.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: another format, other questions, other coordinates, or damage; nothing is changed then.
    """
    root = read_root(path)
    files = RecordingFiles(path)
    if root is None:
        shutil.rmtree(path)
        return Truncated(files, {}, [])
    kept = _reopen(path, files, root, about, coordinates, step)
    groups = {group.name: group for _, group in kept}
    # The commit first: if a kill comes now, arrays are longer than it says, which readers ignore.
    files.write_root({**root, "commit": _commit(groups.values())})
    for directory in path.iterdir():
        if directory.is_dir() and directory.name not in groups:
            # A kill left it before its first commit.
            shutil.rmtree(directory)
    for stored, group in kept:
        truncate_group(stored, group.captures)
    return Truncated(files, groups, list(root["thinned"]))


def _reopen(
    path: Path,
    files: RecordingFiles,
    root: Mapping[str, Any],
    about: Mapping[str, Any],
    coordinates: Mapping[str, Mapping[str, Coordinate]],
    step: int,
) -> list[tuple[zarr.Group, GroupWriter]]:
    """Every group with its captures up to `step`; checks all of them before anything is changed."""
    opened = {}
    try:
        captures: dict[str, int] = root["commit"]["captures"]
        for name, count in captures.items():
            group = open_group(files, name)
            opened[name] = (group, coordinates_of(group), read_steps(group, count))
    except Exception as error:
        # What zarr raises depends on which bytes are wrong.
        raise _damaged(path, error) from error
    if difference := _about_difference(root, about):
        raise _not_resumable(path, difference)
    for name, (_, stored, _) in opened.items():
        if difference := coordinate_difference(stored, coordinates.get(name, {})):
            raise _not_resumable(path, f"{name}: {difference}")
    try:
        return [
            (group, reopen_group(files, group, [s for s in steps if s <= step]))
            for group, _, steps in opened.values()
        ]
    except Exception as error:
        raise _damaged(path, error) from error


def _commit(groups: Collection[GroupWriter]) -> dict[str, Any]:
    """The commit record: how many captures each group has, and the latest step of all."""
    captures = {group.name: group.captures for group in groups}
    latest = [group.latest for group in groups if group.latest is not None]
    return {"step": max(latest, default=None), "captures": captures}


def _about_difference(root: Mapping[str, Any], about: Mapping[str, Any]) -> str | None:
    for key, now in json.loads(json.dumps(about)).items():
        before = root.get(key)
        if before == now:
            continue
        if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
            pairs = enumerate(zip(before, now, strict=True))
            first = next(i for i, (was, got) in pairs if was != got)
            return f"number {first} of {key} differs from the one recorded"
        return f"{key} differ from those recorded"
    return None


def _not_resumable(path: Path, reason: str) -> ValueError:
    return ValueError(f"{path} cannot be resumed: {reason}; {START_OVER}")


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged and cannot be resumed: {error}; {START_OVER}")
