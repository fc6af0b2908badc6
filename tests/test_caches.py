"""Cached files are checked whenever they are read; damaged ones are named and made again."""

import errno
import logging
import os
import random
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from qa_research.caches import FOOTER_BYTES, DamagedError, content_bytes, made_once, written_checked
from qa_research.model.tokenizer import trained_wordpiece
from qa_research.tasks.answering.question import texts_of
from qa_research.tasks.answering.windows import cached_windows


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    # A new file, because the earlier one may be mapped.
    path.unlink()
    path.write_bytes(content)


def test_what_was_written_is_read_without_its_checksum(tmp_path):
    path = tmp_path / "cached"
    with written_checked(path) as file:
        file.write(b"abc")
    assert content_bytes(path) == 3
    assert path.read_bytes()[:3] == b"abc" and path.stat().st_size == 3 + FOOTER_BYTES


@pytest.mark.parametrize("size", [0, 1, FOOTER_BYTES, FOOTER_BYTES + 2])
def test_a_file_cut_short_is_damaged(tmp_path, size):
    path = tmp_path / "cached"
    with written_checked(path) as file:
        file.write(b"abc")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedError, match=r"^its end is missing$"):
        content_bytes(path)


def test_a_file_is_made_once_and_again_when_damaged(tmp_path, caplog):
    path = tmp_path / "cached"
    made = []

    def make(file) -> None:
        made.append(path)
        file.write(b"abc")

    assert [made_once(path, "numbers", make) for _ in range(2)] == [3, 3]
    assert len(made) == 1
    flip(path, 5)
    with caplog.at_level(logging.WARNING, logger="qa_research.caches"):
        assert made_once(path, "numbers", make) == 3
    assert len(made) == 2
    assert caplog.messages == [
        f"The cached numbers {path} is damaged (it is not what its checksum says); making it again"
    ]


@pytest.mark.parametrize(
    "flips", [20, pytest.param(200, marks=pytest.mark.slow)], ids=["some", "two hundred"]
)
def test_no_flipped_bit_in_windows_or_vocabulary_is_silent(questions, tmp_path, caplog, flips):
    caplog.set_level(logging.WARNING, logger="qa_research.caches")
    tokenizer = trained_wordpiece(texts_of(questions), 400, tmp_path)
    made = cached_windows(questions, tokenizer, 24, 6, tmp_path)
    files = {path.suffix: path for path in tmp_path.iterdir()}
    draw = random.Random(20261126)
    for number in range(flips):
        for suffix in (".arrow", ".vocabulary"):
            path = files[suffix]
            flip(path, draw.randrange(8 * path.stat().st_size))
            caplog.clear()
            if suffix == ".vocabulary":
                again = trained_wordpiece(texts_of(questions), 400, tmp_path)
                assert again.get_vocab() == tokenizer.get_vocab(), number
            else:
                found = cached_windows(questions, tokenizer, 24, 6, tmp_path)
                np.testing.assert_array_equal(found.input_ids, made.input_ids)
                np.testing.assert_array_equal(found.span_last, made.span_last)
            assert len(caplog.messages) == 1 and str(path) in caplog.messages[0]


def test_a_full_disk_is_said_with_the_file_and_leaves_nothing(questions, tokenizer, tmp_path):
    # A limit on the size of files refuses a write in the middle, as a full disk does.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignoring = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="windows-") as raised:
            cached_windows(questions, tokenizer, 24, 6, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignoring)
    assert raised.value.errno == errno.EFBIG
    assert os.path.basename(raised.value.filename).startswith("windows-")
    assert list(tmp_path.iterdir()) == []
