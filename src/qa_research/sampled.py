"""A process that lets another one see its Python stacks, at any moment, by signals.

A first signal is answered as soon as the main thread is between two steps of the interpreter. Where it is
not, as it computes in C++, waits, or holds the interpreter's lock in C, a second one has `faulthandler` write
its stack from within the handler. Alone that would see everything, but not safely: while Python 3.11 enters a
function it has for a moment no valid stack, and a sample of just then would end the process.

A file says where stacks are written and which run is trained; `stacks/` asks and reads.
"""

import atexit
import faulthandler
import json
import logging
import mmap
import opcode
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import IO, Any

log = logging.getLogger(__name__)
# Not SIGUSR1, which saves, and where there are others not SIGUSR2, with which SLURM has a job queued again.
_HAS_REALTIME = hasattr(signal, "SIGRTMIN")
ASK: int | None = signal.SIGRTMIN + 5 if _HAS_REALTIME else getattr(signal, "SIGINFO", None)
INSIST: int | None = signal.SIGRTMIN + 4 if _HAS_REALTIME else getattr(signal, "SIGUSR2", None)
# Names the folder in which a process that is started is to say that it can be sampled.
FOLDER = "QA_RESEARCH_STACKS"
# Of the announcement in a run's directory; that of a further process is `stacks-1`.
NAME = "stacks"
# Of each optimizer step: when it ended, by the monotonic clock, and its number.
STEP = struct.Struct("<dq")
# Shared with whoever asks: the number of the latest question, of the latest that was insisted on, and of the
# latest that was answered between two steps of the interpreter.
ASKED, INSISTED, ANSWERED = 0, 8, 16
SHARED_BYTES = 24
NUMBER = struct.Struct("<q")
# The instruction at the entry of a function; also where a generator goes on.
_ENTRY = opcode.opmap["RESUME"]
# Before a stack: the question that it answers. B: insisted on.
MARK = "#{number} {how}\n"


class Announcement:
    """What a process says of itself in `<folder>/<name>.json`, beside its stacks and its steps.

    Raises:
        ValueError: there is no such signal here, or the program handles it itself.
        OSError: the files cannot be written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._ask, self._insist = _free_signals()
        self.path = folder / f"{name}.json"
        self._dumps: IO[bytes] = self.path.with_suffix(".dumps").open("ab", buffering=0)
        self._dumps.truncate(0)
        self._steps: IO[bytes] | None = self.path.with_suffix(".steps").open("wb", buffering=0)
        shared = self.path.with_suffix(".shared")
        shared.write_bytes(bytes(SHARED_BYTES))
        with shared.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), SHARED_BYTES)
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        # Lightning ends by installing the handlers that Python knows of, which faulthandler's is not.
        signal.signal(self._insist, self._answer_again)
        faulthandler.register(self._insist, file=self._dumps, all_threads=False, chain=False)
        signal.signal(self._ask, self._answer)
        signal.siginterrupt(self._ask, False)
        self._said: dict[str, Any] = {
            "pid": os.getpid(),
            "start_ticks": start_ticks(os.getpid()),
            "registered_s": time.monotonic(),
            "left_s": None,
            "main_thread": threading.main_thread().ident,
            "rank": int(os.environ.get("LOCAL_RANK", "0")),
            "ask": self._ask,
            "insist": self._insist,
            "command": sys.argv,
            "processors": processors(),
            "cores": cores(),
            "runs": [],
        }
        self._say()
        atexit.register(self.withdraw)

    def _answer(self, number: int, frame: FrameType | None) -> None:
        """Write the stacks of all threads, none of which runs Python now, unless that was insisted on."""
        with self._undisturbed():
            (asked,) = NUMBER.unpack_from(self._shared, ASKED)
            (insisted,) = NUMBER.unpack_from(self._shared, INSISTED)
            if asked > insisted:
                NUMBER.pack_into(self._shared, ANSWERED, asked)
                frames: dict[int, FrameType | None] = {**sys._current_frames()}
                frames[threading.get_ident()] = _where_it_was(frame)
                # In one write. faulthandler's would be a dozen for each frame.
                self._dumps.write(self._text(asked, frames).encode("ascii"))

    def _text(self, number: int, frames: Mapping[int, FrameType | None]) -> str:
        """The stacks of threads, as faulthandler writes them, but whole."""
        threads = []
        for thread, innermost in frames.items():
            lines = [f"Thread 0x{thread:016x} (most recent call first):\n"]
            frame = innermost
            while frame is not None:
                before, after = self._names(frame.f_code)
                lines.append(f"{before}{frame.f_lineno}{after}")
                frame = frame.f_back
            threads.append("".join(lines))
        return MARK.format(number=number, how="A") + "\n".join(threads)

    def _names(self, code: CodeType) -> tuple[str, str]:
        """What stands before a line's number and after it."""
        key = code.co_filename, code.co_name
        if key not in self._known:
            file, name = (_printable(text) for text in key)
            self._known[key] = f'  File "{file}", line ', f" in {name}\n"
        return self._known[key]

    def _answer_again(self, number: int, frame: FrameType | None) -> None:
        """In place of faulthandler's handler, which a library has replaced: answer, and put that one back."""
        with self._undisturbed():
            faulthandler.unregister(number)
            faulthandler.register(number, file=self._dumps, all_threads=False, chain=False)
            faulthandler.dump_traceback(self._dumps, all_threads=False)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Inside, no other question comes; what cannot be written ends no training, which this interrupts."""
        both = (self._ask, self._insist)
        signal.pthread_sigmask(signal.SIG_BLOCK, both)
        try:
            yield
        except OSError:
            # The disk is full; the sample counts as not answered.
            pass
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, both)

    def run_started(self, **known: Any) -> None:
        """From now on this run is trained; `known`: its id, directory, and what else explains its speed."""
        self._said["runs"].append({"from_s": time.monotonic(), "to_s": None, **known})
        self._say()

    def told(self, **known: Any) -> None:
        """Say more about the run that is trained."""
        self._said["runs"][-1].update(known)
        self._say()

    def run_ended(self) -> None:
        """That run is no longer trained."""
        self._said["runs"][-1]["to_s"] = time.monotonic()
        self._say()

    def step_ended(self, step: int) -> None:
        """Write when an optimizer step ended; if the disk is full, no more are written."""
        if self._steps is None:
            return
        try:
            self._steps.write(STEP.pack(time.monotonic(), step))
        except OSError as error:
            log.warning("Steps are no longer written for samples of stacks: %s", error.strerror)
            self._steps.close()
            self._steps = None

    def withdraw(self, remove: bool = False) -> None:
        """Answer no more; a signal on its way is ignored. `remove` the files: whoever reads has them open."""
        if self._dumps.closed:
            return
        atexit.unregister(self.withdraw)
        signal.signal(self._ask, signal.SIG_IGN)
        faulthandler.unregister(self._insist)
        signal.signal(self._insist, signal.SIG_IGN)
        self._said["left_s"] = time.monotonic()
        self._say()
        self._dumps.close()
        if self._steps is not None:
            self._steps.close()
        if remove:
            for ending in (".json", ".dumps", ".steps", ".shared"):
                with suppress(OSError):
                    self.path.with_suffix(ending).unlink()

    def _say(self) -> None:
        """Write the announcement whole; a disk that is full must not end a training."""
        temporary = self.path.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(self._said), encoding="utf-8")
            os.replace(temporary, self.path)
        except OSError as error:
            log.warning("This training cannot be found by `stacks --pid`: %s", error.strerror)
            with suppress(OSError):
                temporary.unlink()


def _where_it_was(frame: FrameType | None) -> FrameType | None:
    """The frame that was running when a question came, which Python answers at the next place where it can.

    If that is the entry of a function, nothing of the function has run: the time went by in its caller, or in
    C that calls it, as backward calls a hook.
    """
    if frame is not None and frame.f_code.co_code[frame.f_lasti] == _ENTRY:
        return frame.f_back or frame
    return frame


def _printable(text: str) -> str:
    """A text in ASCII and on one line, with what is not written as Python escapes it."""
    return "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in text)


# Of this process, if somebody who samples started it.
_asked_for: list[Announcement] = []


def answer_if_asked() -> None:
    """At the start of a program: let it be sampled if whoever started it wants that, or say why it cannot."""
    folder = os.environ.get(FOLDER)
    if not folder or _asked_for:
        return
    try:
        answer(Path(folder))
    except (ValueError, OSError) as error:
        with suppress(OSError):
            (Path(folder) / f"{os.getpid()}.refused").write_text(str(error), encoding="utf-8")


def answer(folder: Path) -> None:
    """Let this process be sampled by whoever reads this folder.

    Raises:
        ValueError, OSError: as `Announcement`.
    """
    _asked_for.append(Announcement(folder, str(os.getpid())))


def answer_no_more() -> None:
    """Withdraw the announcement that `answer` made."""
    if _asked_for:
        _asked_for.pop().withdraw()


def asked_for() -> Announcement | None:
    """The announcement that this process made because it was asked to, or None."""
    return _asked_for[0] if _asked_for else None


def start_ticks(pid: int) -> int | None:
    """When a process was started, in the kernel's ticks since boot; None: unknown, as on macOS.

    With its number it names a process for good, since numbers are used again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The second field, in parentheses, may have blanks and parentheses of its own.
    return int(stat.rpartition(")")[2].split()[19])


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores() -> int:
    """How many cores this process may use: processors that share one are one; at most a container's quota."""
    allowed = processors()
    if hasattr(os, "sched_getaffinity"):
        siblings = set()
        for number in os.sched_getaffinity(0):
            path = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
            siblings.add(_first_line(path) or str(number))
        allowed = len(siblings)
    quota, _, period = (_first_line(Path("/sys/fs/cgroup/cpu.max")) or "").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        allowed = min(allowed, -(-int(quota) // int(period)))
    return max(1, allowed)


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").split("\n", 1)[0].strip()
    except OSError:
        return None


def _free_signals() -> tuple[int, int]:
    if ASK is None or INSIST is None:
        raise ValueError("stacks cannot be sampled on this system, which has no signals for it")
    if threading.current_thread() is not threading.main_thread():
        raise ValueError("stacks cannot be sampled of a program that runs outside its main thread")
    for number in (ASK, INSIST):
        if callable(signal.getsignal(number)):
            raise ValueError(
                f"stacks cannot be sampled: this program handles signal {number} itself"
            )
    return ASK, INSIST
