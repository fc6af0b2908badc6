"""A run as one zip file that can be given away: all that it found out, and nothing of who found it where.

No weights, no names of users and hosts, no paths of this machine. The same run gives the same bytes.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from qa_research.files import parse_json, written_whole
from qa_research.ledger.carrying import carried, carried_json
from qa_research.ledger.carrying_stacks import carried_stacks, carried_stacks_json
from qa_research.ledger.runs import Ledger
from qa_research.model.weights import SUMS
from qa_research.plain import read_yaml
from qa_research.runs.anchors import ANCHORS
from qa_research.runs.anonymous import MEANINGS, Anonymous
from qa_research.runs.directory import MANIFEST, read_config, read_record, run_name
from qa_research.runs.manifest import (
    FORMAT,
    LEDGER_ROWS,
    LEDGER_STACKS,
    VERSION,
    BundledFile,
    BundledRun,
    LeftOut,
    Manifest,
    check_place,
    check_places,
    manifest_json,
)
from qa_research.runs.store import has_content, live_status, read_entry, size_by_part
from qa_research.text import command_line

RECORDING = "recording.zarr"
# A tokenizer of a multilingual model has some 17 MB; BERT's has 0.7 MB.
MOST_MODEL_BYTES = 4_000_000
# The earliest that a zip file can say: no file has a time of its own.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_OTHER_PARTS = (
    *("tensorboard", "films", "attributions", "looks", "exports", "replays", "what_if", "graft"),
    *("patching", "data_map", "weights", "probes"),
)
_PAGES = (".html", ".svg", ".csv", ".json", ".txt", ".md")


@dataclass
class Contents:
    """What a bundle holds: its files by name, as bytes or as the path where they are; and what it does not.

    `notes`: sentences about what somebody should know before giving it away.
    """

    files: dict[str, bytes | Path] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, what: str, size: int, why: str) -> None:
        """Say that a part of the run is not in it."""
        self.left_out.append(LeftOut(what=what, bytes=size, why=why))


@dataclass(frozen=True)
class Bundled:
    """A bundle that was written. `sha256`: of the whole file."""

    path: Path
    sha256: str
    bytes: int
    manifest: Manifest
    notes: list[str]


def write_bundle(directory: Path, out: Path, ledger: Path, with_recording: bool = False) -> Bundled:
    """Write the bundle of a run; `ledger`: where what it was asked is.

    Raises:
        FileNotFoundError: there is no such run.
        FileExistsError: `out` exists and is not an earlier bundle of this run.
        ValueError: it is being trained, or one of its files is damaged.
        OSError: the file cannot be written.
    """
    directory = Path(os.path.abspath(directory))
    entry = read_entry(directory)
    _check_out(out, entry.id)
    if live_status(entry) == "running":
        raise ValueError(
            f"{run_name(directory)} is being trained, and its files change; bundle it once it has ended"
        )
    contents = contents_of(directory, ledger, with_recording)
    manifest = _manifest(directory, contents)
    with written_whole(out, "wb") as file:
        _write_zip(file, manifest, contents)
    content = hashlib.sha256(out.read_bytes()).hexdigest()
    return Bundled(out, content, out.stat().st_size, manifest, contents.notes)


def _check_out(out: Path, run_id: str) -> None:
    """Refuse to replace what is not an earlier bundle of this run."""
    if not out.exists():
        return
    with suppress(OSError, KeyError, ValueError, zipfile.BadZipFile), zipfile.ZipFile(out) as file:
        found = parse_json(file.read(MANIFEST), MANIFEST)
        if found["run"]["id"] == run_id:
            return
    raise FileExistsError(f"{out} exists, and is not a bundle of this run; name another file")


def contents_of(directory: Path, ledger: Path, with_recording: bool) -> Contents:
    """What the bundle of a run holds, with everything of this machine replaced."""
    record, config = read_record(directory) or {}, read_config(directory)
    config_text = (directory / "config.yaml").read_text(encoding="utf-8")
    log = directory / "train.log"
    log_text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    hidden = Anonymous(directory, config, f"{json.dumps(record)}\n{config_text}\n{log_text}")
    contents = Contents()
    contents.files["run.json"] = _json(hidden.value(record))
    plain = hidden.value(read_yaml(directory / "config.yaml"))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    contents.files["config.yaml"] = text.encode()
    if log_text:
        contents.files["train.log"] = hidden.log(log_text).encode(errors="replace")
    _add_asked(contents, record["id"], ledger, hidden)
    for name in ("metrics.csv", "architecture.json", "predictions", "answers.zarr"):
        _add(contents, directory, name)
    _add_model(contents, directory, hidden)
    _add_recording(contents, directory, with_recording)
    _add_pages(contents, directory, hidden)
    _add_stacks(contents, record["id"], ledger, hidden)
    _say_what_else(contents, directory)
    for user in hidden.users:
        if user in run_name(directory):
            contents.notes.append(
                f"the run's own name holds the name of a user, {user}, which the bundle keeps"
            )
    return contents


def _add(contents: Contents, directory: Path, name: str) -> None:
    """Add a file, or all files of a folder, as they are."""
    for path in _files_at(contents, directory, directory / name):
        contents.files[path.relative_to(directory).as_posix()] = path


def _files_at(contents: Contents, directory: Path, start: Path) -> Iterator[Path]:
    """A file, or the files of a folder in order; no links, nothing hidden, no names of one system alone."""
    paths = sorted(start.rglob("*")) if start.is_dir() and not start.is_symlink() else [start]
    for path in paths:
        place = path.relative_to(directory)
        if path.is_symlink():
            contents.leave_out(str(place), 0, "it is a link to another place")
        elif path.is_file() and not any(part.startswith(".") for part in place.parts):
            try:
                check_place(place.as_posix())
            except (ValueError, UnicodeError):
                contents.leave_out(
                    ascii(str(place)), path.stat().st_size, "not a name for every system"
                )
                continue
            yield path


def _add_asked(contents: Contents, run_id: str, ledger: Path, hidden: Anonymous) -> None:
    """Add what the run was asked, which stands in the ledger alone."""
    if not has_content(ledger):
        return
    with Ledger(ledger, read_only=True) as opened:
        asked = carried(opened, run_id)
    if asked:
        rows = parse_json(carried_json(asked), LEDGER_ROWS)
        for row in rows:
            # Its name is in the bundle already, and the questions are the data's own texts.
            row["source"]["name"] = hidden.text(row["source"]["name"])
            for question in row["asked"]:
                question["reason"] = hidden.value(question["reason"])
        contents.files[LEDGER_ROWS] = _json(rows)


def _add_stacks(contents: Contents, run_id: str, ledger: Path, hidden: Anonymous) -> None:
    """Add the stacks that were sampled, with the lines of code that were seen, which stand in the ledger."""
    if not has_content(ledger):
        return
    with Ledger(ledger, read_only=True) as opened:
        sampled = carried_stacks(opened, run_id)
    if sampled is None:
        return
    content = carried_stacks_json(sampled)
    found = parse_json(content, LEDGER_STACKS)
    # A file is only the end of its path by now, but that of ~/train.py begins with the user's name.
    hidden.look_for_users(content.decode())
    found["frames"] = [
        [hidden.text(file), line, function, hidden.value(text)]
        for file, line, function, text in found["frames"]
    ]
    for recording in found["recordings"]:
        for key in ("command", "facts"):
            recording[key] = hidden.value(recording[key])
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    contents.files[LEDGER_STACKS] = text.encode(errors="surrogatepass")


def _add_model(contents: Contents, directory: Path, hidden: Anonymous) -> None:
    """Add the model's config and its tokenizer, unless they are large."""
    paths = [
        path
        for path in _files_at(contents, directory, directory / "model")
        if path.suffix in (".json", ".txt", ".sha256", ".model")
    ]
    size = sum(path.stat().st_size for path in paths)
    if size > MOST_MODEL_BYTES:
        contents.leave_out("model", size, "the tokenizer is large")
        paths = [path for path in paths if path.name == "config.json"]
    were_changed = size > MOST_MODEL_BYTES
    for path in paths:
        place = path.relative_to(directory).as_posix()
        contents.files[place] = path
        if path.suffix == ".json" and path.name != "tokenizer.json":
            found = parse_json(path.read_bytes(), str(path))
            if (replaced := hidden.value(found)) != found:
                contents.files[place] = _json(replaced)
                were_changed = True
    if were_changed:
        # Checksums of files that are not these.
        contents.files.pop(f"model/{SUMS}", None)


def _add_recording(contents: Contents, directory: Path, is_wanted: bool) -> None:
    size = size_by_part(directory).get(RECORDING)
    if size is None:
        return
    if is_wanted:
        _add(contents, directory, RECORDING)
    else:
        contents.leave_out(RECORDING, size, "--with-recording includes it")


def _add_pages(contents: Contents, directory: Path, hidden: Anonymous) -> None:
    """Add the report and its figures, in which what is known of this machine is replaced."""
    parts = [directory / name for name in ("report.html", "report.pdf", "figures")]
    for path in (path for part in parts for path in _files_at(contents, directory, part)):
        place = path.relative_to(directory).as_posix()
        if path.suffix in _PAGES:
            text = path.read_text(encoding="utf-8", errors="replace")
            contents.files[place] = hidden.known(text).encode()
        elif path.suffix == ".pdf" and hidden.is_told(_text_of_pdf(path)):
            contents.leave_out(place, path.stat().st_size, "it names a folder of this machine")
        elif path.suffix in (".pdf", ".png"):
            contents.files[place] = path
        else:
            contents.leave_out(place, path.stat().st_size, "not a file of a report")
    if not (directory / "report.html").is_file():
        command = command_line("qa-research", "report", directory)
        contents.notes.append(f"there is no report yet; {command} writes it")


def _text_of_pdf(path: Path) -> str:
    """All text of a PDF, and what it says of itself."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(path.read_bytes()))
        return " ".join(
            [*map(str, (reader.metadata or {}).values()), *(p.extract_text() for p in reader.pages)]
        )
    except PyPdfError as error:
        raise ValueError(f"{path} is not a PDF that can be read: {error}; remove it") from error


def _say_what_else(contents: Contents, directory: Path) -> None:
    """Name the other parts of the run, which no bundle has."""
    named = {name.partition("/")[0] for name in contents.files} | {MANIFEST}
    named |= {part.what for part in contents.left_out}
    others = 0
    for name, size in size_by_part(directory).items():
        if name in ("checkpoints", ANCHORS):
            contents.leave_out(name, size, "weights are not bundled")
        elif name in _OTHER_PARTS:
            contents.leave_out(name, size, "not a part of a bundle")
        elif name not in named and not name.startswith("."):
            # Somebody's own, whose name is nobody's business.
            others += size
    if others:
        contents.leave_out("other files", others, "not a part of a bundle")


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode(errors="surrogatepass")


def _manifest(directory: Path, contents: Contents) -> Manifest:
    record: Mapping[str, Any] = parse_json(content_of(contents.files["run.json"]), "run.json")
    check_places(contents.files)
    files = [_described(name, contents.files[name]) for name in sorted(contents.files)]
    return Manifest(
        format=FORMAT,
        version=VERSION,
        run=BundledRun(record["id"], directory.name, record["study"], record["status"]),
        hardware=record.get("machine") or {},
        versions=record.get("versions") or {},
        fingerprints=record.get("fingerprints") or {},
        placeholders=MEANINGS,
        left_out=sorted(contents.left_out, key=lambda part: part.what),
        files=files,
    )


def _described(name: str, content: bytes | Path) -> BundledFile:
    found = content_of(content)
    return BundledFile(path=name, bytes=len(found), sha256=hashlib.sha256(found).hexdigest())


def content_of(content: bytes | Path) -> bytes:
    """The bytes of a file of `Contents`."""
    return content.read_bytes() if isinstance(content, Path) else content


def _write_zip(file: Any, manifest: Manifest, contents: Contents) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        _write_file(archive, MANIFEST, manifest_json(manifest))
        for described in manifest.files:
            content = content_of(contents.files[described.path])
            if hashlib.sha256(content).hexdigest() != described.sha256:
                raise ValueError(f"{described.path} changed while it was bundled; bundle it again")
            _write_file(archive, described.path, content)


def _write_file(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _NO_TIME)
    info.compress_type, info.create_system, info.external_attr = (
        zipfile.ZIP_DEFLATED,
        3,
        _REGULAR_FILE,
    )
    archive.writestr(info, content)
