"""Files written whole or not at all; text and JSON read, with one sentence for what cannot be read."""

import codecs
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

UTF_8 = "utf-8"
# Longer byte order marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@contextmanager
def written_whole(path: Path, mode: str = "w", durable: bool = False) -> Iterator[IO[Any]]:
    """A file to write to, which takes the place of `path` only once it is complete.

    Readers see the earlier content or the new one, never a part; after an exception the earlier content
    remains. Text is UTF-8. `durable`: it also survives a power cut, which costs a sync of the disk.

    Example:
        with written_whole(directory / "run.json") as file:
            json.dump(record, file)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process number keeps two writers of one path from sharing a temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with temporary.open(mode, **text) as file:  # type: ignore[call-overload]
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None and error.errno is not None:
            # What a full disk refuses names no file.
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    if durable:
        sync_directory(path.parent)


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
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{name} is not valid JSON: {error.msg} at {where}") from error
    except RecursionError as error:
        raise ValueError(
            f"{name} is JSON that is nested too deeply to be read (some hundred levels)"
        ) from error
    except ValueError as error:
        # Not UTF-8, or a number of thousands of digits.
        raise ValueError(f"{name} is not readable JSON: {error}") from error


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
