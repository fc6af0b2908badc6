"""Signals that ask a training to save, to stop, or to leave at once. Nothing is saved in a handler."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from signal import SIG_DFL, default_int_handler
from types import FrameType
from typing import Any, NoReturn, Self

log = logging.getLogger(__name__)
STOPPING = tuple(
    number for name in ("SIGINT", "SIGTERM") if (number := getattr(signal, name, None)) is not None
)
# Windows has no such signal.
SAVING: signal.Signals | None = getattr(signal, "SIGUSR1", None)
# With it SLURM announces the end of a job's time to who listens for it, as submitit does.
REQUEUEING: signal.Signals | None = getattr(signal, "SIGUSR2", None)
SHOW_CURSOR = "\x1b[?25h"
Handler = Callable[[int, FrameType | None], Any] | int | None


class Stopped(BaseException):
    """A signal asked to leave, and all that had to be saved is saved.

    No Exception, so that nothing takes it for a failure; no KeyboardInterrupt, which Lightning turns
    into an exit of its own.
    """

    def __init__(self, number: int, score: float | None = None) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.score = score

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


class Signals:
    """Listens while it is entered; the handlers that were there before are put back at the end.

    SIGINT and SIGTERM raise `Stopped` at once, or, within `deferred()`, only set `stop`, for the end of
    the step to see. SIGUSR1 sets `save`. A second SIGINT ends the process on the spot. A signal that
    is ignored when listening begins, as by `nohup` or in a script's background, stays ignored.
    """

    def __init__(self) -> None:
        self.stop: int | None = None
        self.save = False
        self._interrupts = 0
        self._deferring = False
        self._also: Callable[[], object] | None = None
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            log.info("Signals cannot be heard outside the main thread; periodic saves go on")
            return self
        for number in (*STOPPING, SAVING):
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.getsignal(number)
        if REQUEUEING is not None and callable(signal.getsignal(REQUEUEING)):
            self._before[REQUEUEING] = signal.getsignal(REQUEUEING)
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        if self._also is not None and hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        for number, handler in self._before.items():
            # None: it was not installed from Python, and cannot be put back from here.
            if handler is not None:
                signal.signal(number, handler)
        self._before.clear()

    def listen(self) -> None:
        """Take the signals again from whoever has taken them since, as Lightning does."""
        for number in self._before:
            signal.signal(number, self._handle)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within, nobody is interrupted: `stop` waits to be seen."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def pass_on_to_children(self, also: Callable[[], object]) -> None:
        """From now on only `stop` is set, child processes are asked to stop too, and `also` is done.

        Children begun from now on hear signals only within `receiving_signals()`: one that died of a signal
        while it had nothing to do would take the others along, in the middle of their saves.
        """
        self._deferring, self._also = True, also
        if hasattr(signal, "pthread_sigmask"):
            # A mask is inherited; what it keeps from this thread, another one waits for.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
            threading.Thread(target=self._wait, daemon=True).start()

    def check(self, score: float | None = None) -> None:
        """Raise `Stopped` if that was asked for; `score`: of a training that is finished all the same."""
        if self.stop is not None:
            raise Stopped(self.stop, score)

    def _wait(self) -> None:
        while True:
            self._handle(signal.sigwait(STOPPING), None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == SAVING:
            self.save = True
            return
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            _say(SHOW_CURSOR + "Leaving at once; what was saved before is kept.")
            os._exit(128 + number)
        first, self.stop = self.stop is None, self.stop or number
        if not self._deferring:
            raise Stopped(self.stop)
        if first and self._also is not None:
            self._also()
            # Never as SIGINT: a terminal's Ctrl-C has reached them already, and a second one is final.
            for child in multiprocessing.active_children():
                child.terminate()
        if first:
            _say("Stopping at the end of this step, and saving; Ctrl-C again leaves at once.")


@contextmanager
def receiving_signals() -> Iterator[Signals]:
    """Listen, also in a process born deaf (`Signals.pass_on_to_children`), which is deaf again after it."""
    if not hasattr(signal, "pthread_sigmask"):
        with Signals() as signals:
            yield signals
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    for number in STOPPING:
        if number in before and signal.getsignal(number) in (SIG_DFL, default_int_handler):
            # Threads begun within are not deaf after it, and by default a signal to them is the end.
            signal.signal(number, lambda *_: None)
    with Signals() as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        try:
            yield signals
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave(code: int) -> NoReturn:
    """End this process now. All is saved, and taking torch apart takes longer than a step does."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError):
            stream.flush()
    os._exit(code)


def _say(text: str) -> None:
    """Write to stderr: a handler may stand in the middle of a buffered write, so not through one."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        # The terminal may be gone.
        with suppress(OSError):
            os.write(2, f"\n{text}\n".encode())
