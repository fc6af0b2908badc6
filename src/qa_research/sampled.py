"""A process that lets another one see its Python stacks, at any moment, by a signal.

`faulthandler` writes them from within the handler in C, so a thread that computes in C++, or holds the
interpreter's lock, is seen as well. A file says where they are written and which run is trained; `stacks/`
sends the signals and reads.
"""

import atexit
import faulthandler
import json
import logging
import os
import signal
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

log = logging.getLogger(__name__)
# Not SIGUSR1, which saves, nor SIGUSR2, with which SLURM has a job queued again; macOS has no others.
SIGNAL: int | None = (
    signal.SIGRTMIN + 4 if hasattr(signal, "SIGRTMIN") else getattr(signal, "SIGUSR2", None)
)
# Names the folder in which a process that is started is to say that it can be sampled.
FOLDER = "QA_RESEARCH_STACKS"
# Of the announcement in a run's directory; that of a further process is `stacks-1`.
NAME = "stacks"
# Of each optimizer step: when it ended, by the monotonic clock, and its number.
STEP = struct.Struct("<dq")


class Announcement:
    """What a process says of itself in `<folder>/<name>.json`, beside its stacks and its steps.

    Raises:
        ValueError: there is no such signal here, or the program handles it itself.
        OSError: the files cannot be written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._signal = _free_signal()
        self.path = folder / f"{name}.json"
        self._dumps: IO[bytes] = self.path.with_suffix(".dumps").open("ab", buffering=0)
        self._dumps.truncate(0)
        self._steps: IO[bytes] | None = self.path.with_suffix(".steps").open("wb", buffering=0)
        # Lightning ends by installing the handlers that Python knows of, which faulthandler's is not.
        signal.signal(self._signal, self._answer_again)
        faulthandler.register(self._signal, file=self._dumps, all_threads=True, chain=False)
        self._said: dict[str, Any] = {
            "pid": os.getpid(),
            "start_ticks": start_ticks(os.getpid()),
            "registered_s": time.monotonic(),
            "left_s": None,
            "main_thread": threading.main_thread().ident,
            "rank": int(os.environ.get("LOCAL_RANK", "0")),
            "signal": self._signal,
            "command": sys.argv,
            "processors": processors(),
            "runs": [],
        }
        self._say()
        atexit.register(self.withdraw)

    def _answer_again(self, number: int, frame: FrameType | None) -> None:
        """In place of faulthandler's handler, which a library has replaced: answer, and put that one back."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [number])
        faulthandler.unregister(number)
        faulthandler.register(number, file=self._dumps, all_threads=True, chain=False)
        faulthandler.dump_traceback(self._dumps, all_threads=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])

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
        signal.signal(self._signal, signal.SIG_IGN)
        faulthandler.unregister(self._signal)
        signal.signal(self._signal, signal.SIG_IGN)
        self._said["left_s"] = time.monotonic()
        self._say()
        self._dumps.close()
        if self._steps is not None:
            self._steps.close()
        if remove:
            for ending in (".json", ".dumps", ".steps"):
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


def _free_signal() -> int:
    if SIGNAL is None:
        raise ValueError("stacks cannot be sampled on this system, which has no signal for it")
    if callable(signal.getsignal(SIGNAL)):
        name = signal.Signals(SIGNAL).name if SIGNAL in list(signal.Signals) else str(SIGNAL)
        raise ValueError(f"stacks cannot be sampled: this program handles signal {name} itself")
    return SIGNAL
