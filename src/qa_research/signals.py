"""Signals, and how a program ends: what Ctrl-C and SIGTERM ask for, and which exit code follows from what.

Exit codes: 0 done, 1 a failure, 2 a request that cannot be carried out (one sentence on stderr says why),
130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP. Nothing is saved in a signal handler.
"""

import logging
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from signal import SIG_DFL, default_int_handler
from types import FrameType
from typing import Any, NoReturn, Self

from qa_research.text import print_note

log = logging.getLogger(__name__)
# SIGHUP: the terminal was closed, or the connection to it was lost.
STOPPING = tuple(
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None
)
# Windows has no such signal.
SAVING: signal.Signals | None = getattr(signal, "SIGUSR1", None)
# SLURM announces the end of a job's time with it, to programs that handle it, as submitit does.
REQUEUEING: signal.Signals | None = getattr(signal, "SIGUSR2", None)
SHOW_CURSOR = "\x1b[?25h"
STDOUT, STDERR = 1, 2
SECONDS_BETWEEN_LOOKS = 1.0
Handler = Callable[[int, FrameType | None], Any] | int | None


class Stopped(BaseException):
    """A signal asked the program to end, and everything that had to be saved is saved.

    Not an Exception, so that nothing takes it for a failure; not a KeyboardInterrupt, which Lightning
    turns into an exit of its own.
    """

    def __init__(self, number: int, score: float | None = None) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.score = score

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that was ended by a signal: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


class Signals:
    """Handles signals inside a `with` block; the previous handlers are restored at its end.

    SIGINT, SIGTERM and SIGHUP raise `Stopped` at once or, within `deferred()`, only set `stop`, which is
    checked at the end of a step. SIGUSR1 sets `save`, and is ignored afterwards: one that comes too late must
    not kill. A second SIGINT ends the process on the spot. A signal that is ignored at the start, as under
    `nohup` or in a script's background, stays ignored.
    """

    def __init__(self) -> None:
        self.stop: int | None = None
        self.save = False
        self._interrupts = 0
        self._deferring = False
        self._also: Callable[[], object] | None = None
        self._before: dict[int, Handler] = {}
        self._terminals: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            log.info("Signals are not received outside the main thread; periodic saves continue")
            return self
        for number in STOPPING:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.getsignal(number)
        if SAVING is not None:
            before = signal.getsignal(SAVING)
            self._before[SAVING] = signal.SIG_IGN if before == SIG_DFL else before
        self._terminals = [place for place in (STDOUT, STDERR) if os.isatty(place)]
        if REQUEUEING is not None and callable(signal.getsignal(REQUEUEING)):
            self._before[REQUEUEING] = signal.getsignal(REQUEUEING)
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        if self._also is not None and hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        for number, handler in self._before.items():
            # None: it was not installed from Python and cannot be restored from here.
            if handler is not None:
                signal.signal(number, handler)
        self._before.clear()

    def listen(self) -> None:
        """Install the handlers again, after a library such as Lightning has replaced them."""
        for number in self._before:
            signal.signal(number, self._handle)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, nothing is interrupted: a signal only sets `stop`."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def pass_on_to_children(self, also: Callable[[], object]) -> None:
        """From now on a signal only sets `stop`, asks child processes to stop too, and calls `also`.

        Children started from now on receive signals only within `receiving_signals()`: an idle one that
        was killed by a signal would take the others with it, in the middle of their saves.
        """
        self._deferring, self._also = True, also
        if hasattr(signal, "pthread_sigmask"):
            # Children inherit the mask; signals that it keeps from this thread are awaited by another one.
            # One that is ignored stays so: blocked, it would be awaited like the others.
            awaited = [number for number in STOPPING if number in self._before]
            signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
            threading.Thread(target=self._wait, args=(awaited,), daemon=True).start()

    def check(self, score: float | None = None) -> None:
        """Raise `Stopped` if a signal asked for it; `score`: of a training that finished nonetheless."""
        if self.stop is not None:
            raise Stopped(self.stop, score)

    def _wait(self, awaited: Sequence[int]) -> None:
        while True:
            self._handle(signal.sigwait(awaited), None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == SAVING:
            self.save = True
            return
        if number == getattr(signal, "SIGHUP", None):
            _write_nowhere(self._terminals)
        if number == signal.SIGINT:
            self._interrupts += 1
        if self._interrupts > 1:
            _say(SHOW_CURSOR + "Exiting now; the last checkpoint is kept.")
            os._exit(128 + number)
        first, self.stop = self.stop is None, self.stop or number
        if not self._deferring:
            raise Stopped(self.stop)
        if first and self._also is not None:
            self._also()
            # Not with SIGINT: a terminal's Ctrl-C has reached them already, and a second one is final.
            for child in multiprocessing.active_children():
                child.terminate()
        if first:
            _say("Stopping at the end of this step and saving; press Ctrl-C again to exit at once.")


@contextmanager
def receiving_signals() -> Iterator[Signals]:
    """Receive signals, even in a process started with them blocked; afterwards they are blocked again.

    `Signals.pass_on_to_children` starts such processes.
    """
    if not hasattr(signal, "pthread_sigmask"):
        with Signals() as signals:
            yield signals
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    for number in STOPPING:
        if number in before and signal.getsignal(number) in (SIG_DFL, default_int_handler):
            # Threads started inside stay unblocked, and the default handler would end the process.
            signal.signal(number, lambda *_: None)
    with Signals() as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        try:
            yield signals
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def held_back() -> Iterator[None]:
    """Inside, signals that stop wait; a process that is started inside has them blocked as well."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve_only_the_parent(_: int = 0) -> None:
    """In a process that serves another one, as a loader's worker does: leave signals to it, and end with it.

    A signal to the whole process group (Ctrl-C, `timeout`, `scancel`) reaches every process. The parent still
    needs this one until it has saved, and ends it afterwards.
    """
    for number in (*STOPPING, SAVING):
        if number is not None:
            signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    when_parent_ends(os.getppid(), lambda: os._exit(1))


def when_parent_ends(parent: int, then: Callable[[], object]) -> None:
    """Call `then` in another thread soon after the parent process, whose number is given, has ended."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        then()

    threading.Thread(target=look, daemon=True).start()


def exit_code_of(work: Callable[[], int | None], debug: bool, resume_command: str) -> int:
    """Do the work of a command; its exit code. An error of the user's becomes one sentence on stderr.

    `work` may return an exit code of its own; None is 0. `debug`: show tracebacks instead of sentences.
    `resume_command`: what to type after Ctrl-C. A stopped command does not return: its process ends here.
    """
    try:
        with stops_unmasked():
            return work() or 0
    except BrokenPipeError:
        # Whoever read our output is gone, as after `| head`; at exit Python would write to that pipe again.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 1
    except Stopped as stopped:
        print_note(f"Stopped by {stopped}. Resume with: {resume_command}")
        leave(stopped.exit_code)
    except (ValueError, OSError) as error:
        if debug:
            raise
        print_note(f"qa-research: {one_sentence(error)}")
        return 2


@contextmanager
def stops_unmasked() -> Iterator[None]:
    """Inside, an error that arose because a signal interrupted a library is that `Stopped` again.

    A signal may come at any place of a library, whose clean-up then fails with an error of its own, such as
    OmegaConf's AttributeError. A ValueError or OSError stays what it is: a full disk must be said, also while
    stopping.
    """
    try:
        yield
    except (ValueError, OSError):
        raise
    except Exception as error:
        stopped = _stopped_before(error)
        if stopped is None:
            raise
        raise stopped from error


def _stopped_before(error: BaseException) -> Stopped | None:
    """The `Stopped` that was on its way when an error, or one that led to it, arose."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if isinstance(one, Stopped):
            return one
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            left += [one.__cause__, one.__context__]
    return None


def one_sentence(error: BaseException) -> str:
    """What went wrong, in one line."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return without_number(" ".join(text.split())) or type(error).__name__


def without_number(text: str) -> str:
    """An error's text without the number that Python puts before it, also as a part of another text.

    >>> without_number("[Errno 28] No space left on device: 'runs/a'")
    "No space left on device: 'runs/a'"
    """
    return re.sub(r"\[Errno \d+\] ", "", text)


def without_debug(words: Sequence[str]) -> tuple[list[str], bool]:
    """The words of a command line without --debug, which may be anywhere, and whether it was there."""
    return [word for word in words if word != "--debug"], "--debug" in words


def leave(code: int) -> NoReturn:
    """End this process now. Everything is saved, and tearing down torch takes longer than a step."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        # Its reader or its terminal may be gone.
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _write_nowhere(places: Sequence[int]) -> None:
    """Let what is written to these file descriptors vanish: a terminal that is gone makes each write fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for place in places:
        os.dup2(nowhere, place)
    os.close(nowhere)


def _say(text: str) -> None:
    """Write to stderr unbuffered: a handler may interrupt a buffered write, and must not start another."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        # The terminal may be gone.
        with suppress(OSError):
            os.write(STDERR, f"\n{text}\n".encode())
