"""bundle.json: what a bundle says of itself and of each of its files; anything else is one sentence."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge
from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError, with_config

from qa_research.config import first_fault
from qa_research.files import parse_json
from qa_research.plain import check_plain
from qa_research.runs.directory import MANIFEST, run_name
from qa_research.runs.schema import Name

FORMAT: Final = "qa_research bundle"
VERSION = 1
# What the ledger alone has: what the run was asked, and the stacks that were sampled while it trained.
LEDGER_ROWS, LEDGER_STACKS = "ledger.json", "ledger-stacks.json"
# What a bundle may hold, and nothing else: files and folders of a run, none of which holds weights.
FILES = (
    *("run.json", "config.yaml", "metrics.csv", "train.log", "architecture.json"),
    *("report.html", "report.pdf", LEDGER_ROWS, LEDGER_STACKS),
)
FOLDERS = ("predictions", "model", "figures", "answers.zarr", "recording.zarr")
NEEDED = ("run.json", "config.yaml")
# What no system takes as a name, or takes as another one: `a:b`, `a.`, `NUL`, a device, a control character.
_NO_NAME = re.compile(
    r"[\x00-\x1f\x7f\\:<>\"|?*]|[. ]$|^\.{1,2}$|^$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)",
    re.IGNORECASE,
)
_STRICT = ConfigDict(extra="forbid", strict=True)
_SHA256 = StringConstraints(pattern="^[0-9a-f]{64}$")


def check_place(name: str) -> None:
    """Raise ValueError unless `name` is a path inside a folder on every system, and a bundle may have it."""
    parts = name.split("/")
    if any(_NO_NAME.search(part) for part in parts) or len(name.encode()) > 1000:
        raise ValueError(f"the file {name!r:.120}, which could lie outside the run's folder")
    is_known = name in FILES or (len(parts) > 1 and parts[0] in FOLDERS)
    if not is_known:
        raise ValueError(f"the file {name!r:.120}, which no bundle has")


def check_places(names: Iterable[str]) -> None:
    """Raise ValueError unless all are names that a bundle may have, and different on every system.

    `a` and `A` are one file to some systems, as are two spellings of one accent; to all, `a` and `a/b` are.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        check_place(name)
        key = _as_one_name(name)
        if key in seen:
            raise ValueError(f"two files of one name: {seen[key]!r:.120} and {name!r:.120}")
        seen[key] = name
        folders |= {key[:place]: name for place, letter in enumerate(key) if letter == "/"}
    for key, inside in folders.items():
        if key in seen:
            raise ValueError(
                f"a file and a folder of one name: {seen[key]!r:.120}, {inside!r:.120}"
            )


def _as_one_name(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@with_config(_STRICT)
@dataclass(frozen=True)
class BundledFile:
    """A file of the bundle, with its size in bytes."""

    path: Name
    bytes: Annotated[int, Ge(0)]
    sha256: Annotated[str, _SHA256]


@with_config(_STRICT)
@dataclass(frozen=True)
class LeftOut:
    """What of a run is not in its bundle, and why."""

    what: Name
    bytes: Annotated[int, Ge(0)]
    why: str


@with_config(_STRICT)
@dataclass(frozen=True)
class BundledRun:
    """The run, as its run.json names it; `name` is that of its folder."""

    id: Name
    name: Name
    study: Name
    status: Literal["running", "interrupted", "failed", "finished"]


@with_config(_STRICT)
@dataclass(frozen=True)
class Manifest:
    """bundle.json. `hardware`, `versions` and `fingerprints` are those of run.json."""

    format: Literal["qa_research bundle"]
    version: int
    run: BundledRun
    hardware: dict[str, Any]
    versions: dict[str, str]
    fingerprints: dict[str, str]
    placeholders: dict[str, str]
    left_out: list[LeftOut]
    files: list[BundledFile]


_MANIFEST = TypeAdapter(Manifest)


def left_out_of(directory: Path) -> dict[str, str]:
    """What an imported run came without, and why; empty for a run that was not imported.

    Raises:
        ValueError: its bundle.json is damaged.
    """
    path = directory / MANIFEST
    if not path.is_file():
        return {}
    manifest = read_manifest(path.read_bytes(), run_name(directory))
    return {part.what: part.why for part in manifest.left_out}


def read_manifest(content: bytes, name: str) -> Manifest:
    """The manifest in the bundle that the user calls `name`.

    Raises:
        ValueError: it is not one, or of a newer version.
    """
    where = f"{MANIFEST} in {name}"
    found = parse_json(content, where)
    check_plain(found, where)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(
            f"{name} is a zip file, but not a bundle of a run: {MANIFEST} does not say so"
        )
    version = found.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ValueError(
            f"{name} was written by a newer qa_research (bundle version {version}, this one knows "
            f"{VERSION}); upgrade qa_research"
        )
    if version != VERSION or isinstance(version, bool):
        raise ValueError(
            f"{where} has the version {version!r:.40}; this qa_research knows {VERSION}"
        )
    try:
        manifest = _MANIFEST.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{where} {first_fault(error)}") from error
    named = [file.path for file in manifest.files]
    try:
        check_places(named)
    except ValueError as error:
        raise ValueError(f"{where} names {error}") from error
    if missing := [one for one in NEEDED if one not in named]:
        raise ValueError(f"{where} names no {missing[0]}, which every run has")
    return manifest


def manifest_json(manifest: Manifest) -> bytes:
    """A manifest as `read_manifest` reads it; always by the same bytes."""
    return _MANIFEST.dump_json(manifest, indent=2)
