"""What `faulthandler` writes about a process's threads, read while it is being written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_THREAD = re.compile(r"(?:Current thread|Thread) 0x([0-9a-f]+)\b.*:$")
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


Dump = tuple[ThreadStack, ...]


class DumpReader:
    """Reads the dumps of one file as they are appended, and keeps the file short.

    Within a dump a blank line precedes each thread but the first, so a thread without one begins a dump:

        Thread 0x7f01 (most recent call first):
          File "/lib/threading.py", line 331 in wait
        <blank>
        Current thread 0x7f00 (most recent call first):
          File "train.py", line 46 in <module>
        Thread 0x7f01 (most recent call first):        <- the next dump

    Source: CPython's Python/traceback.c, _Py_DumpTracebackThreads.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("r+b", buffering=0)
        self._line = b""
        self._lines: list[str] = []
        self._after_blank = False
        self._parsed: dict[tuple[str, ...], ThreadStack] = {}

    def dumps(self) -> Iterator[Dump]:
        """Those that are complete, as another one was begun after them."""
        *lines, self._line = (self._line + self._file.read()).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            if _THREAD.match(text) and not self._after_blank and self._lines:
                yield self._dump()
            self._after_blank = not text
            self._lines.append(text)

    def last(self) -> Iterator[Dump]:
        """All that are left, the last one included, once no more are written."""
        yield from self.dumps()
        if self._lines:
            yield self._dump()

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

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _dump(self) -> Dump:
        threads: list[list[str]] = []
        for line in self._lines:
            if _THREAD.match(line):
                threads.append([line])
            elif line and threads:
                threads[-1].append(line)
        self._lines = []
        return tuple(self._thread(tuple(lines)) for lines in threads)

    def _thread(self, lines: tuple[str, ...]) -> ThreadStack:
        # Most are the same again and again, as those of threads that wait.
        if lines not in self._parsed:
            self._parsed[lines] = _parsed(lines)
        return self._parsed[lines]


def _parsed(lines: tuple[str, ...]) -> ThreadStack:
    head = _THREAD.match(lines[0])
    assert head is not None
    frames = [
        RawFrame(m[1], int(m[2]) if m[2].isdigit() else 0, m[3])
        for line in lines[1:]
        if (m := _FRAME.match(line))
    ]
    is_cut = lines[-1].strip() == _CUT
    return ThreadStack(int(head[1], 16), tuple(reversed(frames)), is_cut)
