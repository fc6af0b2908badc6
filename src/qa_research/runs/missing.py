"""What is said of a RUN that is not there: a path with a typing error, a file in place of its folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from qa_research.model.folder import looks_like_a_model
from qa_research.text import nearest

# How similar the name of each folder must be. `ou` and `out` are 0.8, `deepset` and `dataset` 0.57.
SIMILAR = 0.75


def missing_path(typed: str, runs: Path) -> str | None:
    """A sentence on what looks like a path, or is one that names a file; None: it looks like a name.

    A name with a slash looks like a path if its first folder is here, unless that is a study of `runs`, or if
    a run or a model is here whose path is nearly that.
    """
    path = Path(typed).expanduser()
    if path.is_file():
        return _of_file(typed)
    near = near_path(typed)
    if typed.startswith(("/", ".", "~")):
        return f"there is no directory {typed}{_meant(near)}"
    first, slash, _ = typed.partition("/")
    is_of_study = (runs.expanduser() / first).is_dir()
    is_path = bool(slash) and Path(first).is_dir() and not is_of_study
    if is_path or near_model(typed):
        return f"there is no directory {typed}{_meant(near)}"
    return None


def near_model(typed: str) -> str | None:
    """The run or the model that is here, and whose path is nearly `typed`; None: there is none."""
    near = near_path(typed)
    return near if near and _is_to_ask(Path(near).expanduser()) else None


def near_path(typed: str) -> str | None:
    """The directory whose path differs least from `typed`, folder by folder, spelled as `typed` is.

    None if one of its folders has no like.
    """
    parts = Path(typed).parts
    starts = 1 if typed.startswith(("/", "~")) else 0
    found = Path(*parts[:starts])
    for name in parts[starts:]:
        here = found.expanduser()
        if not (here / name).is_dir():
            near = nearest(name, _folders(here), SIMILAR)
            if near is None:
                return None
            name = near
        found /= name
    return str(found)


def _folders(place: Path) -> Iterator[str]:
    """The folders in a directory; of one that may not be read, none."""
    if not os.access(place, os.R_OK | os.X_OK):
        return
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir() and not entry.name.startswith("."):
                yield entry.name


def _of_file(typed: str) -> str:
    """A sentence on a file; of a part of a run or of a model, the folder to name."""
    folder = Path(typed).parent
    for place in (folder, folder.parent):
        if _is_to_ask(place.expanduser()):
            return f"{typed} is a file; name its folder, {place}"
    return f"{typed} is a file; RUN is a run, a Hugging Face model directory or a hub id"


def _is_to_ask(directory: Path) -> bool:
    return (directory / "run.json").is_file() or looks_like_a_model(directory)


def _meant(near: str | None) -> str:
    return f"; did you mean {near}?" if near else ""
