"""A recording cut back to the step that a training goes on from.

A recording as it is written: captures are appended while a training runs, and hold after a kill.

What lies on the disk is zarr v3, a group a recorder, each with its own axis `step`. Readers see as many
captures as the commit in the root's attributes counts, which is written after all arrays.
"""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import zarr

from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.recording.files import FORMAT, Files, read_root
from qa_research.capture.recording.group import (
    BEGIN_ANEW,
    RecordedGroup,
    commit,
    coordinates_of,
    difference,
    new_group,
    open_group,
    reopened,
    shorten,
    steps_of,
)


@dataclass(frozen=True)
class Kept:
    """What is left of a recording."""

    files: Files
    groups: dict[str, RecordedGroup]
    thinned: list[str]


def cut_back(
    path: Path,
    about: Mapping[str, Any],
    coordinates: Mapping[str, Mapping[str, Coordinate]],
    step: int,
) -> Kept:
    """Drop the captures after `step`, and all of a recording that has no whole capture yet.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: it is of another format, about other questions, has other coordinates, or is damaged.
    """
    root = read_root(path)
    files = Files(path)
    if root is None:
        shutil.rmtree(path)
        return Kept(files, {}, [])
    opened = {}
    try:
        captures: dict[str, int] = root["commit"]["captures"]
        for name, count in captures.items():
            group = open_group(files, name)
            opened[name] = (group, coordinates_of(group), steps_of(group, count))
    except Exception as error:
        raise _damaged(path, error) from error
    _check_about(path, root, about)
    for name, (_, there, _) in opened.items():
        if found := difference(there, coordinates.get(name, {})):
            raise _other(path, f"{name}: {found}")
    left: list[tuple[zarr.Group, RecordedGroup]] = []
    try:
        for group, _, steps in opened.values():
            left.append((group, reopened(files, group, [s for s in steps if s <= step])))
    except Exception as error:
        raise _damaged(path, error) from error
    groups = {group.name: group for _, group in left}
    # Fewer captures first: from here on, a kill leaves arrays that are longer than the commit says.
    files.write_root({**root, "commit": commit(groups.values())})
    for directory in path.iterdir():
        if directory.is_dir() and directory.name not in groups:
            # Killed while it was made.
            shutil.rmtree(directory)
    for group, recorded in left:
        shorten(group, recorded.captures)
    return Kept(files, groups, list(root["thinned"]))


def _check_about(path: Path, root: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(about))
    for key, value in now.items():
        then = root.get(key)
        if then == value:
            continue
        if isinstance(then, list) and isinstance(value, list) and len(then) == len(value):
            place = next(
                i for i, pair in enumerate(zip(then, value, strict=True)) if pair[0] != pair[1]
            )
            raise _other(path, f"number {place} of {key} is another one now")
        raise _other(path, f"{key} are other ones now")


def _other(path: Path, what: str) -> ValueError:
    return ValueError(f"{path} cannot be gone on with: {what}; {BEGIN_ANEW}")


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged and cannot be gone on with: {error}; {BEGIN_ANEW}")


# A flush rewrites two files of every array, which takes 20 ms or, on a disk that others keep busy, 200.
FLUSH_EVERY_S = 10.0
FLUSH_MAX_SHARE = 0.0015


class RecordingWriter:
    """Appends captures; readable while it grows, whole after a kill.

    `about`: the root's attributes, such as `questions`. `coordinates`: by group. `kept`: what `go_on` found.
    A capture that fills chunks of its own is on the disk at once; the rest waits for the next flush, which
    `append` does by itself after the first capture, and then every ten seconds, or less often where flushes
    would take more than 0.15 % of the time.

    Raises:
        FileExistsError: there is something at `path`, and it is not gone on with.
    """

    def __init__(
        self,
        path: Path,
        about: Mapping[str, Any],
        coordinates: Mapping[str, Mapping[str, Coordinate]],
        kept: Kept | None = None,
    ) -> None:
        if kept is None and path.exists():
            raise FileExistsError(f"there is a recording {path} already; {BEGIN_ANEW}")
        self._files = kept.files if kept else Files(path)
        self._about = dict(about)
        self._coordinates = coordinates
        self._groups = kept.groups if kept else {}
        self._thinned = kept.thinned if kept else []
        self._noted = False
        self._flush_at = -float("inf")

    @classmethod
    def go_on(
        cls,
        path: Path,
        about: Mapping[str, Any],
        coordinates: Mapping[str, Mapping[str, Coordinate]],
        step: int,
    ) -> Self:
        """Drop the captures after `step`, for good, and append to those that are left.

        A recording that was killed before its first capture was whole begins anew.

        Raises:
            FileNotFoundError: there is no such directory.
            ValueError: it is of another format, about other questions, has other coordinates, or is damaged.
                Other arrays are found by the first `append`.
        """
        return cls(path, about, coordinates, cut_back(path, about, coordinates, step))

    def append(self, step: int, captured: Mapping[str, Mapping[str, Array]]) -> None:
        """Add one capture; groups may be missing. The values are free to change afterwards.

        Raises:
            ValueError: the step is not after the latest one of a group; arrays are not those of the captures
                before it, or do not fit each other and the coordinates. Then nothing is added.
            OSError: it could not be written. The groups before the one that failed are added, and the others
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
        if time.monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Let readers see all captures: arrays first, then the commit."""
        began, makes_groups = time.monotonic(), any(g.unwritten for g in self._groups.values())
        changed = [group for group in self._groups.values() if group.captures != group.flushed]
        for group in changed:
            group.flush()
        if changed or self._noted:
            groups = self._groups.values()
            thinned = {"thinned": self._thinned, "commit": commit(groups)}
            self._files.write_root({"format": FORMAT, **self._about, **thinned})
            self._noted = False
        now = time.monotonic()
        took_s = 0.0 if makes_groups else now - began
        self._flush_at = now + max(FLUSH_EVERY_S, took_s / FLUSH_MAX_SHARE)

    def sync(self) -> None:
        """Flush, and have it all on the disk, whatever happens to the machine."""
        self.flush()
        self._files.sync()

    def note(self, sentence: str) -> None:
        """Say in the recording, from the next flush on, what was left out of it."""
        if sentence not in self._thinned:
            self._thinned.append(sentence)
            self._noted = True
