"""Files and folders written whole or not at all, and named after data; text and JSON read.

What cannot be written or read is one sentence that names the file.
"""

import codecs
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from qa_research.text import names_in

UTF_8 = "utf-8"
# Longer byte order marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What the system answers where nothing more can be written: a full disk, a quota, a limit, a fault.
NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
# Libraries in Rust only say it in words: "I/O error: No space left on device (os error 28)".
_IN_WORDS = re.compile(r"\(os error (\d+)\)")
_OF_SQLITE = {"SQLITE_FULL": errno.ENOSPC, "SQLITE_IOERR_WRITE": errno.EIO}
_DIGITS = 8
# What may be before a value of JSON lines; nothing else follows the last one.
_BEFORE_VALUE = re.compile(r"[ \t\r\n]*(?=[^ \t\r\n])")


@contextmanager
def written_whole(path: Path, mode: str = "w", durable: bool = False) -> Iterator[IO[Any]]:
    """A file to write to, which takes the place of `path` only once it is complete.

    Readers see the earlier content or the new one, never a part; after an exception the earlier content
    remains. Text is UTF-8. `durable`: it also survives a power cut, which costs a sync of the disk.

    Raises:
        OSError: it cannot be written, or is a device or a folder; the error names `path`.

    Example:
        with written_whole(directory / "run.json") as file:
            json.dump(record, file)
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} is not a file that can be replaced; name another one")
    # The process number keeps two writers of one path from sharing a temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with _in_folder(path.parent), naming(path, temporary):
        try:
            with temporary.open(mode, **text) as file:  # type: ignore[call-overload]
                yield file
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    if durable:
        sync_directory(path.parent)


@contextmanager
def written_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to write files to, which all take their places in `path` only once they are complete.

    After an exception `path` is what it was. Without `replace` it must not exist, or be empty; with it,
    files of the same names are replaced, and others stay.

    Raises:
        FileExistsError: it exists, and not `replace`.
        OSError: something cannot be written; the error names the file where it would be in `path`.
    """
    if not replace:
        check_new(path)
    # Inside a folder that exists, which may be a mount, or the only place that can be written.
    own = f".{path.name}.{os.getpid()}.tmp"
    temporary = path / own if path.is_dir() else path.with_name(own)
    with _in_folder(path.parent), naming(path, temporary):
        try:
            temporary.mkdir()
            yield temporary
            _put_in_place(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to make a folder at, which takes the place of the folder `path` once it is complete.

    Readers find the earlier one, or the new one, or for a moment none; never files of both.

    Raises:
        OSError: something cannot be written; the error names the file where it would be in `path`.
    """
    temporary, earlier = (
        path.with_name(f".{path.name}.{os.getpid()}.{ending}") for ending in ("tmp", "old")
    )
    with _in_folder(path.parent), naming(path, temporary):
        try:
            yield temporary
            if path.exists():
                os.rename(path, earlier)
            os.rename(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            if earlier.exists() and not path.exists():
                os.rename(earlier, path)
            raise
    shutil.rmtree(earlier, ignore_errors=True)


def check_new(directory: Path) -> None:
    """Raise FileExistsError unless `directory` does not exist or is empty, before any slow work."""
    if directory.is_symlink() and not directory.exists():
        raise FileExistsError(f"{directory} is a link to nothing; name a new directory")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(f"{directory} exists and is not empty; name a new directory")


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn every error of a full or failing disk into an OSError that names `path`.

    Python's own names no file if it came while writing, and those of libraries are of any type.
    `temporary`: where `path` is written first, and whose name tells nobody anything.
    """
    try:
        yield
    except Exception as error:
        named = _named(error, path, temporary)
        if named is None:
            raise
        raise named from error


def file_name(text: str, longest: int = 80) -> str:
    """A name for a file, without extension, that shows `text` and that no other text gets.

    A text that is a safe name on every system is its own; of others what must not be in a name is replaced,
    and a digest tells them apart. So do texts that differ in case alone, which is one name to some systems.

    >>> file_name("56be4db0-12_a"), file_name("a/b"), file_name("a_b"), file_name("A_b")
    ('56be4db0-12_a', 'a_b-c14cddc0', 'a_b', 'A_b-08eb65ad')
    """
    shown = readable_name(text, longest)
    # A safe name that ends like a digest gets one, or it could be the name of another text.
    is_own = shown == text and re.fullmatch(r"(?!.*-[0-9a-f]{8}$)(?!-)[a-z0-9_-]+", text)
    if is_own and not re.fullmatch(r"con|prn|aux|nul|com\d|lpt\d", text):
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    return f"{shown}-{digest}"


def readable_name(text: str, longest: int = 80) -> str:
    """`text` as a part of a file's name: no dots, blanks or signs, at most `longest` bytes.

    Other texts may get the same.

    >>> readable_name("../Who won (1998)?")
    '_Who_won_1998_'
    """
    # A dot would make the rest of the name a file's extension.
    plain = re.sub(r"[^\w-]+|^-+|^$", "_", text)
    return plain.encode(errors="ignore")[:longest].decode(errors="ignore")


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Write a text file whole or not at all."""
    with written_whole(path, durable=durable) as file:
        file.write(text)


def write_bytes(path: Path, content: bytes, durable: bool = False) -> None:
    """Write a binary file whole or not at all."""
    with written_whole(path, "wb", durable=durable) as file:
        file.write(content)


def sync_directory(directory: Path) -> None:
    """Make the renames in a directory survive a power cut, where directories can be synced."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        # Some network file systems cannot sync a directory; the rename itself still holds.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_text(path: Path, name: str, encoding: str = UTF_8, option: str | None = None) -> str:
    """The text of a file, line ends as they are; see `decoded`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not text in that encoding.
    """
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{name} {what}")
    return decoded(path.read_bytes(), name, encoding, option)


def decoded(
    content: bytes, name: str, encoding: str = UTF_8, option: str | None = None, what: str = ""
) -> str:
    """Bytes as text, without a byte order mark; no line end is changed, so offsets are the file's own.

    `name` is what the user calls the file; `option`, if there is one, sets the encoding, as in
    `--encoding`. `what` precedes the encoding in errors: "neither Parquet nor UTF-8 text".

    Raises:
        ValueError: there is no such encoding, or the bytes are not text in it.
    """
    check_encoding(encoding, option or "the encoding")
    is_utf_8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    # Text of mostly Latin letters in UTF-16 has a zero byte in every character: "{" is 7B 00.
    zeros = content[:64].count(0)
    if is_utf_8 and marked is None and zeros > len(content[:64]) // 4:
        marked = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    if is_utf_8 and marked:
        raise ValueError(f"{name} is {marked.upper()} text, not UTF-8; {_remedy(marked, option)}")
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        place = getattr(error, "start", None)
        where = "" if place is None else f" (byte {place} is 0x{content[place]:02X})"
        remedy = f"; if it is Latin-1, {_remedy('latin-1', option)}" if is_utf_8 else ""
        shown = "UTF-8" if is_utf_8 else encoding
        raise ValueError(f"{name} is {what or 'not '}{shown} text{where}{remedy}") from error


def check_encoding(encoding: str, option: str) -> None:
    """Reject an encoding that Python does not know, or that is not one of text.

    Raises:
        ValueError: with the option's name.
    """
    try:
        is_known = codecs.lookup(encoding)._is_text_encoding
    except (LookupError, ValueError):
        is_known = False
    if not is_known:
        raise ValueError(
            f"{option}={encoding} is not an encoding of text; it may be utf-8, utf-16, latin-1, cp1252, or "
            "another that Python knows"
        )


def _remedy(encoding: str, option: str | None) -> str:
    if option is None:
        return f"convert it: iconv -f {encoding} -t utf-8 FILE > NEW"
    return f"{option}={encoding} reads it"


def read_json(path: Path, name: str | None = None) -> Any:
    """What a JSON file holds. `name`: what the user calls it (None: its path).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not UTF-8 text, or not JSON that can be read; file and line are said.
    """
    name = str(path) if name is None else name
    return parse_json(read_text(path, name), name)


def parse_json(text: str | bytes, name: str) -> Any:
    """What a JSON text holds; `name` begins the error. Every JSON from outside is read here.

    Raises:
        ValueError: it is not JSON, is nested deeper than can be read, or has an endless number.
    """
    with _reading_json(name):
        return json.loads(text)


def parse_json_values(text: str, name: str) -> list[tuple[int, Any]]:
    """Values of JSON that follow one another, each with the line on which it starts: JSON lines.

    A value may also stand on several lines, as jq writes it, and blank lines are between any.

    Raises:
        ValueError: as `parse_json`.
    """
    decoder = json.JSONDecoder()
    found = []
    place, line = 0, 1
    while blanks := _BEFORE_VALUE.match(text, place):
        line += text.count("\n", place, blanks.end())
        with _reading_json(name, f", line {line}"):
            value, place = decoder.raw_decode(text, blanks.end())
        found.append((line, value))
        line += text.count("\n", blanks.end(), place)
    return found


@contextmanager
def _reading_json(name: str, where: str = "") -> Iterator[None]:
    """Say what JSON is not, with `where` it begins if its own error does not say where it is."""
    try:
        yield
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        fault = error.msg.removesuffix(" at")
        raise ValueError(f"{name} is not valid JSON: {fault} at {place}") from error
    except RecursionError as error:
        raise ValueError(
            f"{name}{where} is JSON that is nested too deeply to be read (some hundred levels)"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name}{where} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{name}{where} has an integer of thousands of digits") from error


def json_kind(value: object) -> str:
    """A value's kind in JSON's words: `null`, `a list`, `an object`, `the text 'abc'`, `the number 3`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, (int, float)):
        return f"the number {value!r:.40}"
    return "an object" if isinstance(value, dict) else "a list"


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; after an exception those that were made are gone again."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        # Another process may have put something there.
        with suppress(OSError):
            for one in missing:
                one.rmdir()
        raise


def _put_in_place(temporary: Path, path: Path) -> None:
    """Give a complete folder its name, or move its files to the folder that has it already."""
    if not path.is_dir():
        os.rename(temporary, path)
        return
    for file in sorted(temporary.rglob("*")):
        if not file.is_dir():
            target = path / file.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
    shutil.rmtree(temporary)


def _named(error: Exception, path: Path, temporary: Path | None) -> OSError | None:
    """What the disk refused, as an OSError with the name of the file; None if it refused nothing."""
    if isinstance(error, OSError) and error.filename is None and str(path) in str(error):
        # A sentence of our own, which names it already.
        return None
    refusal: BaseException | None = error
    while refusal is not None:
        number, file = _error_number(refusal), getattr(refusal, "filename", None)
        real = _real(file, path, temporary)
        if number in NOT_WRITTEN or (number and file and real != Path(file)):
            return OSError(number, os.strerror(number), str(real))
        refusal = refusal.__cause__ or refusal.__context__
    return None


def _error_number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if name := getattr(error, "sqlite_errorname", None):
        return _OF_SQLITE.get(name)
    found = _IN_WORDS.search(str(error))
    return int(found[1]) if found else None


def _real(file: Any, path: Path, temporary: Path | None) -> Path:
    """The place of `file`, which is in or at `temporary`, once it is complete."""
    if not isinstance(file, str):
        return path
    if temporary is None or not Path(file).is_relative_to(temporary):
        return Path(file)
    return path / Path(file).relative_to(temporary)


def ids_named(words: Iterable[str], option: str) -> list[str]:
    """The ids that words name, each once: with commas between them, or one a line in a file of that name.

    Raises:
        ValueError: a file is no text; `option`: where it was given.
    """
    found: list[str] = []
    for word in words:
        if _is_file(word):
            lines = read_text(Path(word).expanduser(), f"{option} {word}").splitlines()
            found += [line.strip() for line in lines if line.strip()]
        else:
            found += [name for name in names_in([word]) if name]
    return list(dict.fromkeys(found))


def _is_file(typed: str) -> bool:
    try:
        return Path(typed).expanduser().is_file()
    except OSError:
        # Many ids together are longer than a name can be.
        return False
