"""A recording cut back to the step that a training goes on from."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

from qa_research.capture.arrays import Coordinate
from qa_research.capture.disk import Files, read_root
from qa_research.capture.group import (
    BEGIN_ANEW,
    RecordedGroup,
    commit,
    coordinates_of,
    open_group,
    reopened,
    shorten,
    steps_of,
)
from qa_research.capture.stored_coordinates import difference


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
