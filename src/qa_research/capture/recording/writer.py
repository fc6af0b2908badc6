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
from pathlib import Path
from typing import Any

import zarr

from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.recording.files import RecordingFiles, read_root
from qa_research.capture.recording.group import (
    START_OVER,
    GroupWriter,
    coordinate_difference,
    new_group,
    open_group,
    read_steps,
    reopen_group,
    truncate_group,
)

# A flush rewrites two files of every array: 20 ms, or 200 ms on a disk that others keep busy.
FLUSH_EVERY_S = 10.0
FLUSH_MAX_SHARE = 0.0015


class RecordingWriter:
    """Appends captures; the recording is readable while it grows, and intact after a kill.

    `about`: the root's attributes, such as `questions`. `coordinates`: by group. `resume_at`: drop the
    captures after this step, for good, and append to the rest; a recording that was killed before its first
    capture was complete starts over.

    A capture that fills chunks of its own is written at once; the rest waits for the next flush. `append`
    flushes after the first capture, and then every 10 s, or less often if flushes would take more than
    0.15 % of the time: one of 200 ms is followed by 0.2 / 0.0015 = 133 s without.

    Raises:
        FileExistsError: there is already something at `path`, which is not being resumed.
        FileNotFoundError: there is no such directory to resume.
        ValueError: another format, other questions, other coordinates, or damage. Other arrays are found by
            the first `append`.
    """

    def __init__(
        self,
        path: Path,
        about: Mapping[str, Any],
        coordinates: Mapping[str, Mapping[str, Coordinate]],
        resume_at: int | None = None,
    ) -> None:
        if resume_at is None and path.exists():
            raise FileExistsError(f"there is already a recording {path}; {START_OVER}")
        self._files = RecordingFiles(path)
        self._about = dict(about)
        self._coordinates = coordinates
        self._groups: dict[str, GroupWriter] = {}
        self._thinned: list[str] = []
        self._noted = False
        self._next_flush = -float("inf")
        if resume_at is not None:
            self._cut_back(resume_at)

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
            self._files.write_root({**self._about, **thinned})
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

    def _cut_back(self, step: int) -> None:
        """Drop the captures after `step`, or the whole recording if it has no complete capture yet.

        Cutting captures made at 0, 10, 20 and 30 back to step 25 leaves the first three. After an error
        nothing is changed.
        """
        path = self._files.root
        root = read_root(path)
        if root is None:
            shutil.rmtree(path)
            return
        kept = self._reopen(root, step)
        self._groups = {group.name: group for _, group in kept}
        self._thinned = list(root["thinned"])
        # The commit first: if a kill comes now, arrays are longer than it says, which readers ignore.
        self._files.write_root({**root, "commit": _commit(self._groups.values())})
        for directory in path.iterdir():
            if directory.is_dir() and directory.name not in self._groups:
                # A kill left it before its first commit.
                shutil.rmtree(directory)
        for stored, group in kept:
            truncate_group(stored, group.captures)

    def _reopen(self, root: Mapping[str, Any], step: int) -> list[tuple[zarr.Group, GroupWriter]]:
        """Every group with its captures up to `step`; checks all of them before anything is changed."""
        reopened = []
        differences = [_about_difference(root, self._about)]
        try:
            self._files.check_sums(root.get("sums"))
            for name, count in root["commit"]["captures"].items():
                group = open_group(self._files, name)
                now = self._coordinates.get(name, {})
                differences.append(coordinate_difference(group, now))
                steps = [made for made in read_steps(group, count) if made <= step]
                reopened.append((group, reopen_group(self._files, group, steps)))
        except Exception as error:
            # What zarr raises depends on which bytes are wrong.
            raise ValueError(
                f"{self._files.root} is damaged and cannot be resumed: {error}; {START_OVER}"
            ) from error
        if found := next(filter(None, differences), None):
            raise ValueError(f"{self._files.root} cannot be resumed: {found}; {START_OVER}")
        return reopened


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
