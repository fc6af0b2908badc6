"""Files and folders that are whole or absent, and names made from data."""

import errno
import os
import re
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from qa_research.files import (
    check_new,
    file_name,
    naming,
    readable_name,
    replacing,
    write_text,
    written_folder,
    written_whole,
)
from tests.conftest import full_disk

ROOM = 4000
SOURCES = Path(__file__).parent.parent / "src" / "qa_research"


def contents(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if not p.is_dir()}


def test_on_a_full_disk_the_earlier_file_stays_and_the_error_names_it(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "earlier")
    with full_disk(ROOM), pytest.raises(OSError, match=r"file\.txt'$") as caught:
        write_text(path, "x" * 2 * ROOM)
    assert caught.value.errno == errno.EFBIG
    assert contents(tmp_path) == {"file.txt": "earlier"}


def test_a_file_that_fails_leaves_no_folder_that_was_made_for_it(tmp_path):
    (tmp_path / "there").mkdir()
    for path in (tmp_path / "a/b/file", tmp_path / "there/c/file"):
        with full_disk(ROOM), pytest.raises(OSError, match="file"):
            write_text(path, "x" * 2 * ROOM)
    assert os.listdir(tmp_path) == ["there"] and not os.listdir(tmp_path / "there")


def test_a_device_is_never_replaced(tmp_path):
    with pytest.raises(FileExistsError, match="/dev/null is not a file that can be replaced"):
        write_text(type(tmp_path)("/dev/null"), "x")
    with pytest.raises(FileExistsError, match="not a file that can be replaced"):
        write_text(tmp_path, "x")


def test_a_folder_appears_once_it_is_complete(tmp_path):
    target = tmp_path / "made" / "folder"
    with written_folder(target) as new:
        write_text(new / "a", "1")
        write_text(new / "deep" / "b", "2")
        assert not target.exists()
    assert contents(target) == {"a": "1", "deep/b": "2"}
    assert os.listdir(target.parent) == ["folder"]


def test_a_folder_takes_the_place_of_another_whole(tmp_path):
    target = tmp_path / "made" / "folder"
    for texts in ({"a": "1", "b": "2"}, {"a": "3", "deep/c": "4"}):
        with replacing(target) as new:
            for name, text in texts.items():
                write_text(new / name, text)
        assert contents(target) == texts and os.listdir(target.parent) == ["folder"]
    with full_disk(ROOM), pytest.raises(OSError, match=r"folder/deep/b'$"):
        replace_two(target)
    assert contents(target) == texts and os.listdir(target.parent) == ["folder"]


def replace_two(target):
    with replacing(target) as new:
        write_text(new / "a", "5")
        write_text(new / "deep" / "b", "x" * 2 * ROOM)


def write_two(target, replace):
    with written_folder(target, replace) as new:
        write_text(new / "a", "new")
        write_text(new / "deep" / "b", "x" * 2 * ROOM)


@pytest.mark.parametrize("earlier", [{}, {"a": "old", "mine": "kept"}])
def test_a_folder_that_fails_midway_changes_nothing(tmp_path, earlier):
    target = tmp_path / "folder"
    for name, text in earlier.items():
        write_text(target / name, text)
    with full_disk(ROOM), pytest.raises(OSError, match=r"folder/deep/b'$"):
        write_two(target, bool(earlier))
    assert contents(tmp_path) == {f"folder/{name}": text for name, text in earlier.items()}
    assert target.exists() == bool(earlier)


def test_a_folder_that_is_asked_for_again_keeps_what_is_not_its_own(tmp_path):
    for name in ("a", "mine"):
        write_text(tmp_path / name, "old")
    with written_folder(tmp_path, replace=True) as new:
        write_text(new / "a", "new")
    assert contents(tmp_path) == {"a": "new", "mine": "old"}
    with pytest.raises(FileExistsError, match="exists and is not empty"), written_folder(tmp_path):
        pass
    assert contents(tmp_path) == {"a": "new", "mine": "old"}


def test_a_new_folder_is_absent_or_empty(tmp_path):
    check_new(tmp_path)
    check_new(tmp_path / "absent")
    (tmp_path / "nothing").symlink_to(tmp_path / "gone")
    for taken in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(FileExistsError, match="name a new directory"):
            check_new(taken)


def test_what_libraries_say_of_a_full_disk_names_the_file(tmp_path):
    import torch

    path = tmp_path / "named"
    with full_disk(ROOM):
        with pytest.raises(OSError, match="named") as caught, naming(path):
            save_file({"x": torch.zeros(ROOM)}, tmp_path / "x.safetensors")
        assert caught.value.errno == errno.EFBIG
        with pytest.raises(OSError, match="named"), written_whole(path, "wb") as file:
            torch.save({"x": torch.rand(ROOM)}, file)
        with (
            pytest.raises(OSError, match="named"),
            naming(path),
            sqlite3.connect(tmp_path / "x.sqlite") as connection,
        ):
            connection.execute("CREATE TABLE x AS SELECT zeroblob(8000)")


def test_other_errors_stay_what_they_are(tmp_path):
    named = OSError(
        errno.ENOSPC, f"{tmp_path / 'last.ckpt'} could not be written (the disk is full)"
    )
    for error in (ValueError("x"), FileNotFoundError(errno.ENOENT, "No such file", "y"), named):
        with pytest.raises(type(error)) as caught, naming(tmp_path):
            raise error
        assert caught.value is error


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a/b", "a_b"),
        ("a b", "a_b"),
        ("A", "a"),
        ("", "_"),
        ("x" * 300, "x" * 301),
        ("é", "e\u0301"),
    ],
)
def test_two_texts_have_two_names(first, second):
    assert file_name(first).casefold() != file_name(second).casefold()


def test_a_safe_name_is_its_own():
    for name in ("56be4db0acb8001400a502ec", "train-12", "a_b"):
        assert file_name(name) == name
    # It could be the name of a/b.
    assert file_name(file_name("a/b")) != file_name("a/b")


@given(st.text(max_size=300), st.text(max_size=300))
def test_names_are_safe_and_differ(first, second):
    one, two = file_name(first), file_name(second)
    assert (one.casefold() == two.casefold()) == (first == second)
    for name in (one, two):
        assert 0 < len(name.encode()) <= 100
        assert not set(name) & set('/\\:*?"<>|.\0\n ') and name.isprintable()
        assert name.lower() not in ("con", "nul") and not name.startswith("-")
    assert len(readable_name(first, 20).encode()) <= 20


def test_every_file_is_written_by_the_one_writer():
    """But curves and sampled stacks, which grow, recordings, which are made durable together, and nothing."""
    writes = re.compile(r"""\.write_(text|bytes)\(|open\([^)\n]*["'][wax]b?\+?["']""")
    found = {path.name for path in SOURCES.rglob("*.py") if writes.search(path.read_text())}
    assert found == {"metrics.py", "files.py", "signals.py", "sampled.py"}
    assert {p.parent.name for p in SOURCES.rglob("files.py")} == {"qa_research", "recording"}
