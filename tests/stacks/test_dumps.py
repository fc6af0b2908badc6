"""Dumps of stacks: taken apart as they are written, whatever is in them."""

import os
import threading

import pytest

from qa_research.sampled import ASKED, NUMBER, Announcement
from qa_research.stacks.dumps import DumpReader, RawFrame

MAIN_THREAD = 0x7F00
OTHER = """Thread 0x00007f01 (most recent call first):
  File "/lib/python3.11/threading.py", line 331 in wait
  File "/lib/python3.11/threading.py", line 1002 in _bootstrap

"""
FRAMES = """  File "/home/ada/in (a) folder, line 3/m.py", line 7 in <genexpr>
  File "train.py", line ??? in <module>
"""
MAIN = "Thread 0x00007f00 (most recent call first):\n" + FRAMES
ALONE = "Stack (most recent call first):\n" + FRAMES


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "1.dumps"
    path.touch()
    return path


@pytest.fixture
def reader(file):
    made = DumpReader(file, MAIN_THREAD)
    yield made
    made.close()


def append(path, text):
    with path.open("ab") as stream:
        stream.write(text.encode())


def numbers(dumps):
    return [(dump.number, len(dump.threads)) for dump in dumps]


def test_frames_are_outermost_first_and_an_unknown_line_is_zero(file, reader):
    append(file, "#1 B\n" + ALONE)
    ((thread,),) = (dump.threads for dump in reader.last())
    assert thread.thread == MAIN_THREAD and not thread.is_cut
    assert thread.frames == (
        RawFrame("train.py", 0, "<module>"),
        RawFrame("/home/ada/in (a) folder, line 3/m.py", 7, "<genexpr>"),
    )


def test_each_dump_answers_the_question_that_is_marked_before_it(file, reader):
    append(file, f"#1 A\n{OTHER}{MAIN}#2 B\n{ALONE}#3 A\n{MAIN}")
    assert numbers(reader.last()) == [(1, 2), (2, 1), (3, 1)]


def test_an_answer_that_is_missing_shifts_no_other(file, reader):
    append(file, f"#1 B\n#2 A\n{MAIN}#3 B\n#4 B\n{ALONE}")
    assert numbers(reader.last()) == [(2, 1), (4, 1)]


def test_two_answers_to_one_question_come_in_their_order(file, reader):
    append(file, f"#1 A\n{OTHER}{MAIN}#1 B\n{ALONE}#2 A\n{MAIN}")
    assert numbers(reader.last()) == [(1, 2), (1, 1), (2, 1)]


@pytest.mark.parametrize("is_before", [True, False])
def test_a_question_that_was_insisted_on_while_it_was_answered_breaks_nothing(
    file, reader, is_before
):
    answer = f"#1 A\n{OTHER}{MAIN}"
    append(file, f"#1 B\n{answer}{ALONE}" if is_before else f"{answer}#1 B\n{ALONE}")
    append(file, f"#2 A\n{MAIN}")
    first, *_, second = reader.last()
    assert numbers([first, second]) == [(1, 2), (2, 1)]
    assert first.threads[1] == second.threads[0]


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_dumps_are_read_as_they_grow(file, reader, piece):
    text = "".join(f"#{number} A\n{OTHER}{MAIN}" for number in range(5))
    found = []
    for start in range(0, len(text), piece):
        append(file, text[start : start + piece])
        found += reader.dumps()
    assert numbers(found) == [(number, 2) for number in range(4)]
    found += reader.last()
    assert numbers(found) == [(number, 2) for number in range(5)]
    assert len({dump.threads for dump in found}) == 1


def test_a_stack_of_more_than_a_hundred_frames_is_marked_as_cut(file, reader):
    append(file, f"#1 B\n{ALONE}  ...\n")
    ((thread,),) = (dump.threads for dump in reader.last())
    assert thread.is_cut and len(thread.frames) == 2


def test_emptying_loses_nothing(file, reader):
    append(file, f"#1 A\n{MAIN}#2 A\n{MAIN}")
    found = list(reader.dumps())
    reader.empty()
    assert file.stat().st_size == reader.size == 0
    reader.mark(3)
    append(file, ALONE)
    assert numbers([*found, *reader.last()]) == [(1, 1), (2, 1), (3, 1)]


def test_a_file_that_was_not_read_to_its_end_is_not_emptied(file, reader):
    append(file, f"#1 A\n{MAIN}")
    list(reader.dumps())
    append(file, f"#2 A\n{MAIN}")
    size = file.stat().st_size
    reader.empty()
    assert file.stat().st_size == size
    assert numbers(reader.last()) == [(1, 1), (2, 1)]


def test_what_this_python_writes_is_understood(file):
    """faulthandler itself, of a recursion deeper than it follows; and what a process says of its threads."""

    def deep(levels, what):
        return deep(levels - 1, what) if levels else what()

    ready, done = threading.Event(), threading.Event()

    def wait_here():
        ready.set()
        done.wait()

    thread = threading.Thread(target=wait_here)
    thread.start()
    ready.wait()
    announcement = Announcement(file.parent, file.stem)
    own = threading.main_thread().ident
    reader = DumpReader(file, own)
    try:
        reader.mark(1)
        deep(150, lambda: os.kill(os.getpid(), announcement._insist))
        NUMBER.pack_into(announcement._shared, ASKED, 2)
        deep(20, lambda: os.kill(os.getpid(), announcement._ask))
        insisted, answered = reader.last()
    finally:
        announcement.withdraw(remove=True)
        reader.close()
        done.set()
        thread.join()
    assert (insisted.number, answered.number) == (1, 2)
    (main,) = insisted.threads
    assert main.is_cut and {"deep", "<lambda>"} == {frame.function for frame in main.frames}
    of = {thread.thread: [frame.function for frame in thread.frames] for thread in answered.threads}
    assert of[own].count("deep") == 21 and "wait_here" in str(of)
    assert of[own][0] != "deep" and not answered.threads[0].is_cut
