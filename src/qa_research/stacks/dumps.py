"""What `faulthandler` writes about a process's threads, read while it is being written."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

from qa_research.sampled import MARK

_MARK = re.compile(rb"#(\d+) [AB]\n")
_THREAD = re.compile(r"Thread 0x([0-9a-f]+) ")
_FRAME = re.compile(r'  File "(.*)", line (\d+|\?\?\?) in (.*)$')
# Begins what faulthandler writes of a single thread.
_ALONE = b"Stack (most recent"
# What faulthandler writes in place of further frames.
_CUT = "..."


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A line of code as Python names it; `line` is 0 where it is unknown."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """One thread's frames, the outermost first; `is_cut`: the outermost ones were not written."""

    thread: int
    frames: tuple[RawFrame, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Dump:
    """The answer to question `number`: all threads, or, where it was insisted on, only the main one."""

    number: int
    threads: tuple[ThreadStack, ...]


class DumpReader:
    """Reads the dumps of one file as they are appended, and keeps the file short.

    A mark precedes each. A: the process wrote both at once, a blank line before each further thread. B:
    whoever insists wrote the mark, after which faulthandler's dump of the main thread may be missing, or one
    of an earlier question come late. Only the first dump after a mark counts.

        #7 A
        Thread 0x00007f01 (most recent call first):
          File "/lib/threading.py", line 331 in wait
        <blank>
        Thread 0x00007f00 (most recent call first):
          File "train.py", line 46 in <module>
        #8 B
        Stack (most recent call first):
          File "train.py", line 46 in <module>
    """

    def __init__(self, path: Path, main_thread: int) -> None:
        self._file: IO[bytes] = path.open("r+b", buffering=0)
        self._marks = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._main_thread = main_thread
        self._rest = b""
        self._parsed: dict[bytes, ThreadStack] = {}

    def dumps(self) -> Iterator[Dump]:
        """Those that are complete, as another mark follows them."""
        text = self._rest + self._file.read()
        marks = list(_MARK.finditer(text))
        for mark, following in pairwise(marks):
            yield from self._dump(int(mark[1]), text[mark.end() : following.start()])
        # A mark of which only a part is there yet begins no later than the last one that is whole.
        self._rest = text[marks[-1].start() :] if marks else text

    def last(self) -> Iterator[Dump]:
        """All that are left, the last one included, once no more are written."""
        yield from self.dumps()
        if mark := _MARK.match(self._rest):
            yield from self._dump(int(mark[1]), self._rest[mark.end() :])
        self._rest = b""

    def empty(self) -> None:
        """Cut what was read off the file. Only while nothing is written, which appends."""
        size = self._file.seek(0, 1)
        if size and size == self._file.seek(0, 2):
            self._file.truncate(0)
            self._file.seek(0)
        else:
            self._file.seek(size)

    @property
    def size(self) -> int:
        """How many bytes were read since the file was last emptied."""
        return self._file.tell()

    def mark(self, number: int) -> None:
        """Write the mark of a question that is insisted on."""
        os.write(self._marks, MARK.format(number=number, how="B").encode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        os.close(self._marks)

    def _dump(self, number: int, text: bytes) -> Iterator[Dump]:
        """The first dump of a text, if it has one."""
        end = text.find(_ALONE, 1)
        first = text if end < 0 else text[:end]
        threads = tuple(self._thread(part) for part in first.split(b"\n\n") if part.strip())
        if threads:
            yield Dump(number, threads)

    def _thread(self, text: bytes) -> ThreadStack:
        # Most are the same again and again, as those of threads that wait.
        if text not in self._parsed:
            self._parsed[text] = _parsed(text.decode("utf-8", "replace"), self._main_thread)
        return self._parsed[text]


def _parsed(text: str, main_thread: int) -> ThreadStack:
    lines = text.strip("\n").split("\n")
    frames = [
        RawFrame(m[1], int(m[2]) if m[2].isdigit() else 0, m[3])
        for line in lines
        if (m := _FRAME.match(line))
    ]
    # faulthandler gives a single thread no number; only the main one is asked so.
    head = _THREAD.match(lines[0])
    thread = int(head[1], 16) if head else main_thread
    return ThreadStack(thread, tuple(reversed(frames)), lines[-1].strip() == _CUT)
