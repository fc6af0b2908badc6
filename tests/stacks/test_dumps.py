"""Dumps of stacks: taken apart as they are written, whatever is in them."""

import faulthandler
import threading

import pytest

from qa_research.stacks.dumps import DumpReader, RawFrame

WAITING = """Thread 0x00007f01 (most recent call first):
  File "/lib/python3.11/threading.py", line 331 in wait
  File "/lib/python3.11/threading.py", line 1002 in _bootstrap
"""
MAIN = """Current thread 0x00007f00 (most recent call first):
  File "/home/ada/in (a) folder, line 3/m.py", line 7 in <genexpr>
  File "train.py", line ??? in <module>
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "1.dumps"
    path.touch()
    return path


@pytest.fixture
def reader(file):
    made = DumpReader(file)
    yield made
    made.close()


def append(path, text):
    with path.open("ab") as stream:
        stream.write(text.encode())


def test_frames_are_outermost_first_and_an_unknown_line_is_zero(file, reader):
    append(file, MAIN)
    ((thread,),) = reader.last()
    assert thread.thread == 0x7F00 and not thread.is_cut
    assert thread.frames == (
        RawFrame("train.py", 0, "<module>"),
        RawFrame("/home/ada/in (a) folder, line 3/m.py", 7, "<genexpr>"),
    )


def test_a_thread_without_a_blank_line_before_it_begins_the_next_dump(file, reader):
    append(file, f"{WAITING}\n{MAIN}" * 2 + MAIN)
    assert [len(dump) for dump in reader.last()] == [2, 2, 1]


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_dumps_are_read_as_they_grow(file, reader, piece):
    text, found = f"{WAITING}\n{MAIN}" * 5, []
    for start in range(0, len(text), piece):
        append(file, text[start : start + piece])
        found += reader.dumps()
    assert len(found) == 4
    found += reader.last()
    whole = DumpReader(file)
    assert found == list(whole.last())
    whole.close()


def test_a_stack_of_more_than_a_hundred_frames_is_marked_as_cut(file, reader):
    append(file, MAIN + "  ...\n")
    ((thread,),) = reader.last()
    assert thread.is_cut and len(thread.frames) == 2


def test_emptying_loses_nothing(file, reader):
    append(file, MAIN * 2)
    found = list(reader.dumps())
    reader.empty()
    assert file.stat().st_size == reader.size == 0
    append(file, WAITING + "\n" + MAIN)
    found += reader.last()
    assert [len(dump) for dump in found] == [1, 1, 2]


def test_a_file_that_was_not_read_to_its_end_is_not_emptied(file, reader):
    append(file, MAIN)
    list(reader.dumps())
    append(file, MAIN)
    reader.empty()
    assert file.stat().st_size == 2 * len(MAIN)
    assert len(list(reader.last())) == 2


def test_what_this_python_writes_is_understood(file, reader):
    """faulthandler itself, with another thread and a recursion deeper than it follows."""
    ready, done = threading.Event(), threading.Event()

    def wait_here():
        ready.set()
        done.wait()

    def deep(levels):
        if levels:
            return deep(levels - 1)
        return faulthandler.dump_traceback(stream, all_threads=True)

    thread = threading.Thread(target=wait_here)
    thread.start()
    ready.wait()
    with file.open("ab", buffering=0) as stream:
        for _ in range(3):
            deep(150)
    done.set()
    thread.join()
    dumps = list(reader.last())
    assert len(dumps) == 3
    for dump in dumps:
        main = next(t for t in dump if t.thread == threading.main_thread().ident)
        assert main.is_cut and {frame.function for frame in main.frames} == {"deep"}
        assert any(f.function == "wait_here" for t in dump for f in t.frames)
