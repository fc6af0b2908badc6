"""Reading text and JSON: what cannot be read is one sentence with the file, the place and the way out."""

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from qa_research.files import (
    check_encoding,
    decoded,
    json_kind,
    parse_json,
    read_json,
    read_text,
)

SOURCES = Path(__file__).parent.parent / "src" / "qa_research"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_text_keeps_its_line_ends_and_loses_its_byte_order_mark(mark):
    assert decoded(mark + b"one\r\ntwo\rthree\n", "FILE") == "one\r\ntwo\rthree\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("Grüße".encode("latin-1"), r"F is not UTF-8 text \(byte 2 is 0xFC\).*--encoding=latin-1 reads it"),
        ("Grüße".encode("utf-16"), "F is UTF-16 text, not UTF-8; --encoding=utf-16 reads it"),
        ("Grüße an".encode("utf-16-le"), "F is UTF-16-LE text.*--encoding=utf-16-le reads it"),
        ("Grüße an".encode("utf-16-be"), "F is UTF-16-BE text.*--encoding=utf-16-be reads it"),
        ("Grüße".encode("utf-32"), "F is UTF-32 text.*--encoding=utf-32 reads it"),
    ],
)  # fmt: skip
def test_another_encoding_is_named_with_the_option_that_reads_it(content, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        decoded(content, "F", option="--encoding")
    encoding = re.findall(r"--encoding=(\S+) reads it", str(refusal.value))[0]
    assert decoded(content, "F", encoding, "--encoding").lstrip("\ufeff").startswith("Grüße")


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13", "", "utf-8\0"])
def test_what_is_no_encoding_of_text_is_refused(encoding):
    with pytest.raises(ValueError, match="is not an encoding of text; it may be utf-8"):
        check_encoding(encoding, "--encoding")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"a": 1,\n  2}', "a.json is not valid JSON: .* at line 2, column 3"),
        ("[" * 100_000, "a.json is JSON that is nested too deeply"),
        ('{"a":' * 100_000, "a.json is JSON that is nested too deeply"),
        ("1" * 10_000, "a.json has an integer of thousands of digits"),
    ],
)
def test_json_that_cannot_be_read_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_json(tmp_path / "a.json")


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="^F does not exist"):
        read_text(tmp_path / "nothing", "F")
    with pytest.raises(FileNotFoundError, match="^F is a directory"):
        read_json(tmp_path, "F")


def test_json_from_outside_is_read_in_one_place():
    found = subprocess.run(
        ["grep", "-rlE", r"json\.loads?\(", SOURCES, "--include=*.py"], capture_output=True, text=True
    ).stdout.split()  # fmt: skip
    # writer.py makes plain values of its own by writing and reading them.
    assert {Path(name).name for name in found} == {"files.py", "writer.py"}


def test_kinds_are_told_in_the_words_of_json():
    values = [None, True, "abc", 3, 0.5, [], {}]
    assert [json_kind(value) for value in values] == [
        "null",
        "true",
        "the text 'abc'",
        "the number 3",
        "the number 0.5",
        "a list",
        "an object",
    ]


def test_bytes_are_parsed_as_text_is():
    assert parse_json(b'{"a": [1]}', "F") == {"a": [1]}
    with pytest.raises(ValueError, match="^F is not UTF-8 text: invalid start byte at byte 1"):
        parse_json(gzip.compress(b"{}"), "F")
