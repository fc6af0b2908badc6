"""Samples a command that is started for it, or a training that already runs, until it ends."""

import math
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from qa_research.files import read_json
from qa_research.sampled import FOLDER, INSIST, NAME
from qa_research.signals import STOPPING
from qa_research.stacks.process import Process
from qa_research.stacks.sampler import Sampler
from qa_research.text import command_line

# A folder in memory, if there is one: what is written there costs the program less.
_IN_MEMORY = Path("/dev/shm")


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that nobody else can read, for as long as processes are sampled."""
    memory = str(_IN_MEMORY) if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(
        prefix="qa_research-", dir=memory, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def sample_command(
    words: Sequence[str], mean_s: float, seed: int, folder: Path
) -> tuple[Sampler, int]:
    """Run a command and sample it until it ends; the sampler, and the command's exit code.

    A terminal's Ctrl-C reaches the command itself; SIGTERM and SIGHUP are passed on. It ends as it would
    alone.

    Raises:
        FileNotFoundError: there is no such command.
        ValueError: this system has no signal for it.
        OSError: the command cannot be started.
    """
    if INSIST is None:
        raise ValueError("stacks cannot be sampled on this system, which has no signal for it")
    if shutil.which(words[0]) is None:
        raise FileNotFoundError(
            f"there is no command {words[0]!r}; check its name, or give its path"
        )
    begun = time.monotonic()
    # What a program inherits: a signal that came before its announcement would end it otherwise.
    before = signal.signal(INSIST, signal.SIG_IGN)
    try:
        process = subprocess.Popen(list(words), env={**os.environ, FOLDER: str(folder)})
    finally:
        signal.signal(INSIST, before)

    def pass_on(number: int, _: FrameType | None) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    sampler = Sampler(folder, mean_s, seed, begun)
    with handled_by(pass_on):
        sampler.run_until(lambda: process.poll() is not None)
    sampler.end()
    code = process.returncode
    return sampler, code if code >= 0 else 128 - code


def sample_process(path: Path, mean_s: float, seed: int, most_s: float | None) -> Sampler:
    """Sample the running process of an announcement until it ends, Ctrl-C, or for `most_s` seconds.

    Raises:
        PermissionError: the process is somebody else's.
    """
    stopped = threading.Event()
    sampler = Sampler(path.parent, mean_s, seed, None)
    target = sampler.add(path)
    end = math.inf if most_s is None else time.monotonic() + most_s
    with handled_by(lambda *_: stopped.set()):
        sampler.run_until(
            lambda: stopped.is_set() or time.monotonic() > end or target.has_left, looks=False
        )
    sampler.end()
    return sampler


def announcement_of(pid: int, runs: Path) -> Path:
    """Where the process of this number has announced itself: in the directory of the run that it trains.

    Raises:
        FileNotFoundError: there is no such process, or it trains no run there.
        PermissionError: it is somebody else's.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise FileNotFoundError(f"there is no process {pid}") from None
    except PermissionError:
        raise PermissionError(f"process {pid} is not yours, so it cannot be sampled") from None
    for path in sorted(runs.glob(f"*/*/{NAME}*.json")):
        said = read_json(path)
        if said.get("pid") == pid:
            process = Process(said)
            is_it = process.is_alive()
            process.close()
            if is_it:
                return path
    raise FileNotFoundError(
        f"process {pid} trains no run in {runs} right now; --runs DIR names another folder, and a program "
        "that is no training is sampled from its start: qa-research stacks -- COMMAND"
    )


def check_answered(sampler: Sampler, words: Sequence[str]) -> None:
    """Refuse a command of which no process let itself be sampled.

    Raises:
        ValueError: with the reason that it gave, or how a program can be sampled.
    """
    if sampler.targets:
        return
    for path in sorted(sampler.folder.glob("*.refused")):
        raise ValueError(path.read_text(encoding="utf-8"))
    raise ValueError(
        f"{command_line(*words)} did not say that it can be sampled: only programs of qa_research do. One of "
        "your own can, by `from qa_research.sampled import answer_if_asked; answer_if_asked()`"
    )


@contextmanager
def handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Inside, signals that stop are handled so; one that is ignored stays ignored."""
    before = {
        number: signal.getsignal(number)
        for number in STOPPING
        if signal.getsignal(number) != signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
