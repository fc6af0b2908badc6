"""The files of a recording: each replaced whole, all made durable together, and the root with its commit."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import google_crc32c
from annotated_types import Ge
from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict
from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest
from zarr.storage import LocalStore

from qa_research.config import first_fault
from qa_research.files import naming, parse_json

# In a run's directory.
RECORDING = "recording.zarr"
# Format 1, of version 0.2 and before, has checksums of chunks only: the root's `sums` and `checksum` are new.
FORMAT = 2
READABLE = (1, FORMAT)
METADATA = "zarr.json"
STEP = "step"
# What the root's zarr.json has beside its attributes.
_ROOT = {"zarr_format": 3, "node_type": "group"}


# As a recorder is called in a config: a folder of its own, and no path.
GroupName = Annotated[str, StringConstraints(pattern=r"^\w[\w-]*$")]
Count = Annotated[int, Ge(0)]


class DescribedQuestion(TypedDict):
    """A watched question, with its tokens."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    id: str
    split: str
    kind: str
    title: str
    question: str
    context: str
    answers: list[str]
    tokens: list[str]
    parts: NotRequired[list[str]]
    chars: NotRequired[list[list[int]]]
    marked: NotRequired[list[Count]]


class DescribedOutputs(TypedDict):
    """What the network says of an example as a whole; a task whose answers are spans has none."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    kind: Literal["labels", "number"]
    rows: list[str]
    marked_as: str


class Commit(TypedDict):
    """The last whole step (None: there is none), and how many captures each group has until then."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    step: Count | None
    captures: dict[GroupName, Count]


class Root(TypedDict):
    """The root's attributes."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    format: int
    thinned: list[str]
    questions: NotRequired[list[DescribedQuestion]]
    outputs: NotRequired[DescribedOutputs]
    commit: NotRequired[Commit]
    sums: NotRequired[dict[str, int]]


_SCHEMA = TypeAdapter(Root)


class RecordingFiles:
    """Replaces files below `root`, each whole or not at all, and remembers which are not durable yet."""

    # Not files.written_whole: a flush replaces two files of every array, which must stay cheap, so they are
    # synced together (see `sync`), and they share one temporary file. That one is outside the recording,
    # so that a kill leaves nothing among zarr's files.

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root.with_name(f".{root.name}.tmp")
        # CRC-32C of each zarr.json below the root, by its path.
        self.sums: dict[str, int] = {}
        self._directories: set[Path] = set()
        self._unsynced: set[Path] = set()

    def write(self, key: str, *parts: bytes) -> None:
        """Create or replace a file; after an OSError its earlier content is still there."""
        path = self.root / key
        with naming(path, self._temporary):
            if path.parent not in self._directories:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._directories.add(path.parent)
            try:
                with self._temporary.open("wb") as file:
                    file.writelines(parts)
                os.replace(self._temporary, path)
            except OSError:
                self._temporary.unlink(missing_ok=True)
                raise
        self._unsynced.add(path)
        if path.name == METADATA and path.parent != self.root:
            self.sums[key] = metadata_sum(b"".join(parts))

    def write_root(self, attributes: Mapping[str, Any]) -> None:
        """Replace the root's attributes, with the checksums of all committed groups and their own."""
        groups = attributes["commit"]["captures"]
        sums = {key: s for key, s in self.sums.items() if key.partition("/")[0] in groups}
        attributes = {**attributes, "format": FORMAT, "sums": sums}
        root = {**_ROOT, "attributes": {**attributes, "checksum": _crc(attributes)}}
        self.write(METADATA, json.dumps(root).encode())

    def check_sums(self, sums: Mapping[str, int] | None) -> None:
        """Compare each zarr.json with its checksum in the root, and take them over; None: format 1.

        Raises:
            ValueError: one differs.
        """
        if sums is None:
            keys = [path.relative_to(self.root).as_posix() for path in self.root.rglob(METADATA)]
        else:
            keys = list(sums)
        for key in keys:
            path = self.root / key
            # One that is missing is found by whoever opens its array.
            if key != METADATA and path.is_file():
                content = path.read_bytes()
                check_sum(self.root, key, content, sums)
                self.sums[key] = metadata_sum(content)

    def sync(self) -> None:
        """Make everything written since the last call durable; the root last, because it counts the rest."""
        root = self.root / METADATA
        directories = set()
        for path in sorted(self._unsynced, key=lambda path: path == root):
            _sync(path, os.O_RDWR)
            above = list(path.parents)
            directories.update(above[: above.index(self.root.parent) + 1])
        # Windows cannot sync directories.
        if os.name != "nt":
            for directory in directories:
                _sync(directory, os.O_RDONLY)
        self._unsynced.clear()


class StrictStore(LocalStore):
    """A directory where a missing chunk is an error; plain zarr would read it as fill values.

    Files of zarr's format 2 (`.zarray`, `.zgroup`, ...) are not there: we write none, they have no checksums
    in the root, and they can name codecs that unpickle.
    """

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        name = key.rpartition("/")[2]
        if name.startswith(".z"):
            return None
        check_is_file(self.root / key)
        found = await super().get(key, prototype, byte_range)
        if found is None and name.startswith("c."):
            raise ValueError(f"{self.root / key} is missing")
        return found


def read_root(path: Path) -> dict[str, Any] | None:
    """The root's attributes, or None if the training ended before its first capture was complete.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: not a recording, one of another format, or a damaged root.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"there is no recording {path}")
    check_is_file(path / METADATA)
    try:
        content = (path / METADATA).read_bytes()
    except FileNotFoundError:
        return None
    try:
        root = parse_json(content, METADATA)
        attributes: dict[str, Any] = root["attributes"]
        found = attributes.get("format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: its {METADATA} cannot be read") from error
    if found is None:
        raise ValueError(f"{path} is not a recording of qa_research: its {METADATA} has no format")
    if found not in READABLE:
        raise ValueError(
            f"{path} is a recording of format {found}; this version reads the formats "
            f"{' and '.join(map(str, READABLE))}"
        )
    is_whole = found == 1 or (
        root == {**_ROOT, "attributes": attributes}
        and attributes.pop("checksum", None) == _crc(attributes)
    )
    if not is_whole:
        raise ValueError(f"{path} is damaged: its {METADATA} has a wrong checksum")
    try:
        _SCHEMA.validate_python(attributes)
    except ValidationError as error:
        raise ValueError(f"{path} is damaged: its {METADATA} {first_fault(error)}") from error
    return attributes


def check_is_file(path: Path) -> None:
    """Raise ValueError if there is a device or a pipe, or a link to one, which may have no end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path} is not a file")


def metadata_sum(content: bytes) -> int:
    """CRC-32C of a zarr.json, whatever the length that it says its axis `step` has: the commit says that."""
    metadata = parse_json(content, METADATA)
    if (metadata.get("dimension_names") or [None])[0] == STEP:
        metadata["shape"][0] = 0
    return _crc(metadata)


def check_sum(root: Path, key: str, content: bytes, sums: Mapping[str, int] | None) -> None:
    """Raise ValueError if a zarr.json is not the one that the root's `sums` have; None: of format 1."""
    if sums is None:
        return
    try:
        is_whole = metadata_sum(content) == sums.get(key)
    except (ValueError, LookupError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        raise ValueError(f"{root / key} has a wrong checksum")


def _crc(value: Any) -> int:
    checksum: int = google_crc32c.value(json.dumps(value, sort_keys=True).encode())
    return checksum


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
