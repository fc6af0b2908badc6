"""Another process as the kernel tells of it: whether it lives, runs or sleeps, and what it has used."""

import ctypes
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# Of a file of /proc that is read.
_BYTES = 1024
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used. `memory_mb`: resident; `cpu_s`: processor time. None: it is not told."""

    memory_mb: float | None = None
    cpu_s: float | None = None


class Process:
    """The process of an announcement. On Linux the files of /proc are opened once, as they are read often.

    Source: proc_pid_stat(5); Linux's Documentation/scheduler/sched-stats, /proc/<pid>/schedstat.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.pid: int = said["pid"]
        self._start_ticks: int | None = said["start_ticks"]
        # They stay those of this process, also when its number is another's.
        self._stat = _opened(f"/proc/{self.pid}/stat")
        self._schedule = _opened(f"/proc/{self.pid}/schedstat")

    def close(self) -> None:
        """Close the files."""
        for file in (self._stat, self._schedule):
            if file is not None:
                os.close(file)
        self._stat = self._schedule = None

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.usage_if_alive() is not None

    def usage_if_alive(self) -> Usage | None:
        """What it has used by now; None: it has ended."""
        if self._start_ticks is None:
            return Usage() if _exists(self.pid) else None
        fields = self._fields()
        if not fields or fields[0] == b"Z" or int(fields[19]) != self._start_ticks:
            return None
        pages = int(fields[21])
        # One that is ending has given its memory back.
        memory_mb = pages * _PAGE / 1e6 if pages > 0 else None
        return Usage(memory_mb, (int(fields[11]) + int(fields[12])) / _TICKS)

    def sleeps(self) -> bool:
        """Whether its main thread waits in the kernel."""
        return self._fields()[:1] in ([b"S"], [b"D"])

    def run_time(self) -> float:
        """How many seconds its main thread has run; where that is not told, how late it is."""
        text = _read(self._schedule)
        return int(text.split()[0]) / 1e9 if text else time.monotonic()

    def started(self, otherwise: float) -> float:
        """When it was started, by the monotonic clock, or `otherwise` where that is not told."""
        if self._start_ticks is None:
            return otherwise
        since_boot = self._start_ticks / _TICKS
        return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)

    def send(self, number: int) -> bool:
        """Send it a signal, to its main thread where the system can; False if it has ended.

        Raises:
            PermissionError: it is somebody else's.
        """
        library = _library()
        try:
            if not hasattr(library, "tgkill"):
                os.kill(self.pid, number)
            elif library.tgkill(self.pid, self.pid, number):
                error = ctypes.get_errno()
                raise OSError(error, os.strerror(error))
        except ProcessLookupError:
            return False
        return True

    def _fields(self) -> list[bytes]:
        """The fields of its `stat` from the state on; none if it has ended, or there is no such file."""
        # The second field, in parentheses, may have blanks and parentheses of its own.
        return _read(self._stat).rpartition(b")")[2].split()


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _read(file: int | None) -> bytes:
    """A file of /proc from its beginning; nothing once its process has ended."""
    if file is not None:
        with suppress(OSError):
            return os.pread(file, _BYTES, 0)
    return b""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
