"""A bundle read back as a run: checked whole before anything is put in place, for it may be anybody's."""

import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from qa_research.files import parse_json, write_text, written_folder, written_whole
from qa_research.ledger.carrying import CarriedSearch, add_carried, read_carried
from qa_research.ledger.carrying_stacks import add_carried_stacks, read_carried_stacks
from qa_research.ledger.runs import Ledger, entry_of
from qa_research.ledger.stacks import Recording
from qa_research.plain import parse_yaml
from qa_research.runs.bundle import content_of, contents_of
from qa_research.runs.directory import (
    MANIFEST,
    check_plain_name,
    check_writable,
    lock,
    read_config,
    read_record,
    run_name,
    write_record,
)
from qa_research.runs.manifest import (
    LEDGER_ROWS,
    LEDGER_STACKS,
    BundledFile,
    Manifest,
    check_places,
    manifest_json,
    read_manifest,
)
from qa_research.runs.schema import check_config, check_record
from qa_research.runs.store import ledger_path, read_entry, run_directories
from qa_research.tasks.earlier_configs import upgraded
from qa_research.text import command_line

# Of a bundle: far more than the recording of a long training has.
MOST_BYTES, MOST_FILES = 8_000_000_000, 200_000
MOST_MANIFEST_BYTES = 64_000_000
# Texts compress to a tenth; zeros to a thousandth.
MOST_RATIO, ALWAYS_ALLOWED_BYTES = 200, 64_000_000
# These are read into memory.
MOST_TEXT_BYTES = 256_000_000
# Of a run that is there already: what makes it the same.
COMPARED = ("run.json", "config.yaml", "metrics.csv")
_IN_MEMORY = ("run.json", "config.yaml", LEDGER_ROWS, LEDGER_STACKS)
_CHUNK = 1 << 20
_ENCRYPTED = 0x1
# What zipfile raises on bytes that are not those that were written.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Imported:
    """A run that was imported, or (`is_new` is False) was there already.

    `asked`: searches that are new to the ledger; `sampled`: recordings of stacks that are.
    """

    directory: Path
    is_new: bool
    files: int
    bytes: int
    asked: int
    sampled: int
    manifest: Manifest


def import_bundle(path: Path, runs: Path, study: str | None = None) -> Imported:
    """Put the run of a bundle into a folder of runs and its ledger.

    `study`: another study's name than its own. A run that is there already stays as it is.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a bundle, was altered, or holds what no bundle holds; nothing has changed then.
        FileExistsError: another run has its place.
        OSError: it cannot be written.
    """
    if study is not None:
        check_plain_name("--study", study)
    with _opened(path) as (archive, manifest):
        found = _read_run(archive, manifest, str(path), study)
        runs = Path(os.path.abspath(runs.expanduser()))
        directory = runs / found.study / manifest.run.name
        check_writable(directory, "--runs DIR")
        if there := _same_run(runs, manifest.run.id):
            _check_same(there, found)
            asked, sampled = _write_ledger(there, found, str(path))
            return Imported(there, False, 0, 0, asked, sampled, manifest)
        if os.path.lexists(directory):
            raise FileExistsError(
                f"{directory} exists, and is another run than that of {path}; --study NAME imports it "
                "elsewhere"
            )
        _check_room(runs, manifest, path)
        with lock(directory):
            _put_in_place(archive, manifest, found, directory, str(path))
            asked, sampled = _write_ledger(directory, found, str(path), is_new=True)
    size = sum(file.bytes for file in manifest.files)
    return Imported(directory, True, len(manifest.files), size, asked, sampled, manifest)


@dataclass(frozen=True)
class _Run:
    """What is read of a bundle before anything is written: the run's own files, and what the ledger gets."""

    study: str
    record: dict[str, Any]
    config: dict[str, Any]
    record_json: bytes
    files: Mapping[str, BundledFile]
    searches: list[CarriedSearch]
    recordings: list[Recording]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """A bundle whose list of files has been checked, but not yet their content."""
    if not path.is_file():
        what = "is a directory, not a bundle" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}")
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise ValueError(f"{path} is not a zip file, or is damaged: {_reason(error)}") from error
    with archive:
        _check_listing(archive, str(path))
        content = b"".join(_content(archive, MANIFEST, MOST_MANIFEST_BYTES, str(path)))
        manifest = read_manifest(content, str(path))
        _check_complete(archive, manifest, str(path))
        yield archive, manifest


def _check_listing(archive: zipfile.ZipFile, name: str) -> None:
    """Refuse files that are links, encrypted, too many, too large, or that lie outside the run's folder."""
    listed = archive.infolist()
    if MANIFEST not in {info.filename for info in listed}:
        raise ValueError(f"{name} is a zip file, but not a bundle of a run: it has no {MANIFEST}")
    if len(listed) > MOST_FILES:
        raise ValueError(f"{name} lists {len(listed):,} files; a bundle has at most {MOST_FILES:,}")
    names = [info.filename for info in listed]
    names.remove(MANIFEST)
    try:
        check_places(names)
    except ValueError as error:
        raise ValueError(f"{name} holds {error}") from error
    for info in listed:
        if info.flag_bits & _ENCRYPTED:
            raise ValueError(f"{name} is encrypted, which no bundle is: {info.filename}")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ValueError(f"{name} holds a link, or what is not a file: {info.filename}")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is compressed as no bundle is: {info.filename}")
    _check_extent(listed, name)


def _check_extent(listed: list[zipfile.ZipInfo], name: str) -> None:
    size = sum(info.file_size for info in listed)
    compressed = sum(info.compress_size for info in listed)
    if size > MOST_BYTES or (size > ALWAYS_ALLOWED_BYTES and size > MOST_RATIO * compressed):
        raise ValueError(
            f"{name} would have {size:,} bytes, unpacked from {compressed:,}; no bundle has so many"
        )
    for info in listed:
        if info.filename in _IN_MEMORY and info.file_size > MOST_TEXT_BYTES:
            raise ValueError(
                f"{name} holds {info.filename} with {info.file_size:,} bytes; none has so many"
            )


def _check_complete(archive: zipfile.ZipFile, manifest: Manifest, name: str) -> None:
    """Refuse a bundle whose files are not those that its manifest names, of the sizes that it says."""
    named = {file.path: file.bytes for file in manifest.files}
    held = {info.filename: info.file_size for info in archive.infolist()}
    held.pop(MANIFEST)
    for place in sorted(named.keys() ^ held.keys()):
        what = "lacks" if place in named else "has in addition"
        raise ValueError(f"{name} was altered: it {what} {place}")
    for place in sorted(named):
        if named[place] != held[place]:
            raise ValueError(
                f"{name} was altered: {place} has {held[place]:,} bytes, and {MANIFEST} says {named[place]:,}"
            )


def _content(archive: zipfile.ZipFile, place: str, most: int, name: str) -> Iterator[bytes]:
    """The bytes of a file in pieces; at most `most`, whatever is declared.

    Raises:
        ValueError: they are more, or not those that were written.
    """
    size = 0
    try:
        with archive.open(place) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                if size > most:
                    raise ValueError(f"it has more than the {most:,} bytes that are declared")
                yield chunk
    except _DAMAGED as error:
        raise ValueError(f"{name} was altered, or is damaged: {place}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _copied(
    archive: zipfile.ZipFile, file: BundledFile, target: IO[bytes] | None, name: str
) -> bytes:
    """Write a file's bytes to `target`, or return them if there is none, and compare its checksum.

    Raises:
        ValueError: they are not what the manifest says.
    """
    checksum, parts = hashlib.sha256(), []
    for chunk in _content(archive, file.path, file.bytes, name):
        checksum.update(chunk)
        if target is None:
            parts.append(chunk)
        else:
            target.write(chunk)
    if checksum.hexdigest() != file.sha256:
        raise ValueError(
            f"{name} was altered: {file.path} is not what its checksum says (sha256 "
            f"{file.sha256[:12]} when it was bundled, {checksum.hexdigest()[:12]} now)"
        )
    return b"".join(parts)


def _read_run(archive: zipfile.ZipFile, manifest: Manifest, name: str, study: str | None) -> _Run:
    """Its run.json, config.yaml and rows of the ledger, each by the reader that reads it in every run."""
    files = {file.path: file for file in manifest.files}
    texts = {
        place: _copied(archive, files[place], None, name) for place in _IN_MEMORY if place in files
    }
    record = parse_json(texts["run.json"], f"run.json in {name}")
    check_record(Path(name, "run.json"), record)
    config_name = str(Path(name, "config.yaml"))
    try:
        config = parse_yaml(texts["config.yaml"].decode(), config_name)
    except UnicodeDecodeError as error:
        raise ValueError(f"{config_name} is not UTF-8 text") from error
    if not isinstance(config, dict):
        raise ValueError(f"{config_name} does not hold a config")
    config = upgraded(config)
    check_config(Path(config_name), config)
    said = manifest.run
    for key in ("id", "study", "status"):
        if getattr(said, key) != record[key]:
            raise ValueError(f"{name} was altered: {MANIFEST} and run.json name another {key}")
    for key, value in (("run.name", said.name), ("run.study", said.study)):
        check_plain_name(f"{MANIFEST} in {name}: {key}", value)
    rows = texts.get(LEDGER_ROWS)
    searches = [] if rows is None else read_carried(rows, f"{LEDGER_ROWS} in {name}", said.id)
    stacks, where = texts.get(LEDGER_STACKS), f"{LEDGER_STACKS} in {name}"
    recordings = [] if stacks is None else read_carried_stacks(stacks, where, said.id)
    record_json = texts["run.json"]
    entry_of(Path(name), record, config)
    if study not in (None, record["study"]):
        record["study"] = study
    return _Run(record["study"], record, config, record_json, files, searches, recordings)


def _same_run(runs: Path, run_id: str) -> Path | None:
    """The run of this id in a folder of runs; one that cannot be read is another."""
    for directory in run_directories(runs) if runs.is_dir() else []:
        with suppress(ValueError, OSError):
            if read_entry(directory).id == run_id:
                return directory
    return None


def _check_same(there: Path, found: _Run) -> None:
    """Refuse to take a run for that of the bundle if the two are not the same, file by file.

    The original, whose paths the bundle does not have, is the same; so is a report that was made since.
    """
    own = contents_of(there, ledger_path(there).with_name("none"), with_recording=False)
    differing = []
    for name in own.files.keys() & found.files.keys():
        if name in COMPARED or name.startswith("predictions/"):
            content = content_of(own.files[name])
            if name == "run.json":
                is_same = _without_study(content) == _without_study(found.record_json)
            else:
                is_same = hashlib.sha256(content).hexdigest() == found.files[name].sha256
            if not is_same:
                differing.append(name)
    if differing:
        command = command_line("qa-research", "runs", "remove", there)
        raise FileExistsError(
            f"{run_name(there)} is the bundle's run, but at another time: {', '.join(sorted(differing))} "
            f"differ; {command} makes room for it"
        )


def _without_study(content: bytes) -> dict[str, Any]:
    return {**parse_json(content, "run.json"), "study": None}


def _check_room(runs: Path, manifest: Manifest, path: Path) -> None:
    """Refuse what the disk has no room for, before it is unpacked."""
    place = runs
    while not place.exists():
        place = place.parent
    size, free = sum(file.bytes for file in manifest.files), shutil.disk_usage(place).free
    if size > free:
        raise OSError(f"{path} has {size:,} bytes unpacked, and {place} has room for {free:,}")


def _put_in_place(
    archive: zipfile.ZipFile, manifest: Manifest, found: _Run, directory: Path, name: str
) -> None:
    with written_folder(directory) as folder:
        for file in manifest.files:
            target = folder / file.path
            if file.path in (LEDGER_ROWS, LEDGER_STACKS):
                # They are read already, and go where they came from.
                continue
            with written_whole(target, "wb") as opened:
                _copied(archive, file, opened, name)
        if found.record != parse_json(found.record_json, name):
            write_record(folder, found.record)
        write_text(folder / MANIFEST, manifest_json(manifest).decode())


def _write_ledger(directory: Path, found: _Run, name: str, is_new: bool = False) -> tuple[int, int]:
    """Write the run and its rows to the ledger; what was put in place is gone again if that fails.

    How many searches are new, and how many recordings of stacks.
    """
    try:
        with Ledger(ledger_path(directory)) as ledger:
            rows = f"{LEDGER_ROWS} in {name}"
            asked = add_carried(ledger, found.searches, run_name(directory), rows)
            sampled = add_carried_stacks(ledger, found.recordings, run_name(directory))
            if is_new or ledger.run(found.record["id"]) is None:
                record = read_record(directory) or {}
                ledger.write_run(directory, record, read_config(directory))
            return asked, sampled
    except BaseException:
        if is_new:
            shutil.rmtree(directory)
            # The study's folder, if it has nothing else.
            with suppress(OSError):
                directory.parent.rmdir()
        raise
