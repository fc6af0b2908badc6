"""What was last said of a finished run, kept in the cache, so that it can be said again without torch.

It holds as long as nothing that it rests on has changed: the config, the run's own files, the files of its
data and weights, our code, and the versions of what computes. All are compared by their content.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qa_research
from qa_research.caches import DamagedError, content_bytes, warn_damaged, written_checked
from qa_research.config import has_only_shipped_classes
from qa_research.files import parse_json
from qa_research.model.weights import PACKAGED, package_path
from qa_research.runs.directory import run_directory
from qa_research.runs.places import FILES, MAYBE_DIRECTORIES
from qa_research.runs.versions import installed_versions

log = logging.getLogger(__name__)
# Of a run itself: what became of it, and from which config.
OWN = ("run.json", "config.yaml")


@dataclass(frozen=True)
class Told:
    """The lines that were shown of a finished run, and its score."""

    lines: list[str]
    score: float


def inputs_of(config: Mapping[str, Any]) -> dict[str, str] | None:
    """A sha256 of each file that a training's data and weights are read from; None: they are not known.

    Not known is what a hub has by now, and what classes from elsewhere read.

    Raises:
        OSError: one of them cannot be read.
    """
    if not has_only_shipped_classes(config):
        return None
    found: dict[str, str] = {}
    for section, key in (*FILES, *MAYBE_DIRECTORIES):
        values = config.get(section)
        value = values.get(key) if isinstance(values, Mapping) else None
        if section == "paths" or not isinstance(value, str):
            continue
        files = _files_of(value, is_recursive=section == "data")
        if files is None:
            return None
        found |= {os.path.abspath(path): _sha256(path) for path in files}
    return found


def remember(
    config: Mapping[str, Any], directory: Path, inputs: Mapping[str, str] | None, told: Told
) -> None:
    """Keep what was said of the finished run in `directory`, whose checked config this is.

    `inputs`: from `inputs_of` before they were read, so that what has changed since is noticed.
    """
    path = _place(config)
    if inputs is None or path is None:
        return
    try:
        rests_on = {**_own_state(directory), **inputs}
        with written_checked(path) as file:
            content = {"lines": told.lines, "score": told.score, "rests_on": rests_on}
            file.write(json.dumps(content).encode())
    except OSError as error:
        log.warning("What is known of this run is not kept in the cache: %s", error)


def recall(config: Mapping[str, Any]) -> Told | None:
    """What was said of the finished run of this config; None: nothing, or something has changed.

    `config` need not be checked: if something was said of its run, the same config was checked then.
    """
    path = _place(config)
    if path is None or not path.is_file():
        return None
    try:
        kept = parse_json(path.read_bytes()[: content_bytes(path)], str(path))
        inputs = inputs_of(config)
        if inputs is None or kept["rests_on"] != _own_state(run_directory(config)) | inputs:
            return None
    except DamagedError as error:
        warn_damaged(path, "summary of a run", error)
        return None
    except OSError:
        # Such as a run that was removed: whoever reads it next says so.
        return None
    return Told(kept["lines"], kept["score"])


def _place(config: Mapping[str, Any]) -> Path | None:
    """The file in the cache for this config, typed in this folder; None: the config names no cache.

    The folder counts because paths are shown as they were typed.
    """
    paths = config.get("paths")
    cache = paths.get("cache") if isinstance(paths, Mapping) else None
    if not isinstance(cache, str):
        return None
    typed = json.dumps([os.getcwd(), config], default=str)
    return (
        Path(cache).expanduser()
        / "told"
        / f"{hashlib.sha256(typed.encode()).hexdigest()[:16]}.json"
    )


def _own_state(directory: Path) -> dict[str, str]:
    """What a run's summary rests on apart from its inputs: its own files, our code, the libraries."""
    package = Path(qa_research.__file__).parent
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        code.update(f"{path.relative_to(package)} {_sha256(path)}\n".encode())
    own = {name: _sha256(directory / name) for name in OWN}
    return own | installed_versions() | {"code": code.hexdigest()}


def _files_of(value: str, is_recursive: bool) -> list[Path] | None:
    """The files that a config's value names: itself or those in it; none of `random`; None of a hub's."""
    path = Path(value).expanduser()
    if value.startswith("package:"):
        path = package_path(value, "model.weights", PACKAGED)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = path.rglob("*") if is_recursive else path.iterdir()
        return sorted(file for file in found if file.is_file())
    return [] if value == "random" else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
