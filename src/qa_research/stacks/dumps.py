"""What `faulthandler` writes about a process's threads, read while it is being written."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from qa_research.sampled import MARK

_MARK = re.compile(r"(.*)#(\d+) ([AB])$")
_THREAD = re.compile(r"(?:(?:Current thread|Thread) 0x([0-9a-f]+)\b.*|Stack \(most recent .*\)):$")
_FRAME = re.compile(r'  File "(.*)", line (\d+|\?\?\?) in (.*)$')
# What faulthandler writes in place of further frames, or further threads.
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

    A mark precedes each: A by the process itself, B by whoever insists, in which case the dump may be
    missing, or one of an earlier question may come late. Only the first dump after a mark counts.

        #7 A
        Thread 0x7f01 (most recent call first):
          File "/lib/threading.py", line 331 in wait
        <blank>
        Current thread 0x7f00 (most recent call first):
          File "train.py", line 46 in <module>
        #8 B
        Stack (most recent call first):
          File "train.py", line 46 in <module>

    Source: CPython's Python/traceback.c, _Py_DumpTracebackThreads: a blank line precedes each thread but the
    first, so a thread without one begins another dump.
    """

    def __init__(self, path: Path, main_thread: int) -> None:
        self._file: IO[bytes] = path.open("r+b", buffering=0)
        self._marks = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._main_thread = main_thread
        self._line = b""
        self._broken = ""
        self._number: int | None = None
        self._lines: list[str] = []
        self._after_blank = False
        self._parsed: dict[tuple[str, ...], ThreadStack] = {}

    def dumps(self) -> Iterator[Dump]:
        """Those that are complete, as something else was begun after them."""
        *lines, self._line = (self._line + self._file.read()).split(b"\n")
        for line in lines:
            text = self._broken + line.decode("utf-8", "replace")
            self._broken = ""
            mark = _MARK.match(text)
            if mark and mark[3] == "B" and int(mark[2]) == self._number:
                # It was insisted just as the process began to answer: the rest of that line follows.
                self._broken = mark[1]
                continue
            begins = _THREAD.match(text) and not self._after_blank
            if mark or (begins and self._lines):
                yield from self._dump()
                self._number = int(mark[2]) if mark else None
            self._after_blank = not text
            if not mark:
                self._lines.append(text)

    def last(self) -> Iterator[Dump]:
        """All that are left, the last one included, once no more are written."""
        yield from self.dumps()
        yield from self._dump()

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

    def _dump(self) -> Iterator[Dump]:
        """What was read since the last mark, if it has one and anything was."""
        lines, self._lines = self._lines, []
        threads: list[list[str]] = []
        for line in lines:
            if _THREAD.match(line):
                threads.append([line])
            elif line and threads:
                threads[-1].append(line)
        if self._number is not None and threads:
            yield Dump(self._number, tuple(self._thread(tuple(found)) for found in threads))

    def _thread(self, lines: tuple[str, ...]) -> ThreadStack:
        # Most are the same again and again, as those of threads that wait.
        if lines not in self._parsed:
            self._parsed[lines] = _parsed(lines, self._main_thread)
        return self._parsed[lines]


def _parsed(lines: tuple[str, ...], main_thread: int) -> ThreadStack:
    head = _THREAD.match(lines[0])
    assert head is not None
    frames = [
        RawFrame(m[1], int(m[2]) if m[2].isdigit() else 0, m[3])
        for line in lines[1:]
        if (m := _FRAME.match(line))
    ]
    is_cut = lines[-1].strip() == _CUT
    # faulthandler gives a single thread no number; only the main one is asked so.
    thread = int(head[1], 16) if head[1] else main_thread
    return ThreadStack(thread, tuple(reversed(frames)), is_cut)
