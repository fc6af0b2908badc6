"""`+stacks=default`: a process beside the training that samples it, and keeps and tells what it saw.

The training starts this file as a script and holds the other end of its standard input. When that is closed,
the training is over, however it ended.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from annotated_types import Gt

from qa_research.files import parse_json
from qa_research.sampled import FOLDER, answer, answer_no_more, asked_for
from qa_research.stacks.launching import own_folder

log = logging.getLogger(__name__)
# How long it may take to write what was sampled and to say so.
PATIENCE_S = 60


class SampleStacks:
    """That a training is sampled, and how often: the mean distance of two samples, in seconds."""

    def __init__(self, mean_interval_s: Annotated[float, Gt(0)]) -> None:
        self.mean_interval_s = mean_interval_s


@contextmanager
def sampled(settings: SampleStacks, seed: int, runs: Path) -> Iterator[None]:
    """Sample this process, and those that it starts, while inside; then show what it spent its time on.

    `runs`: the folder whose ledger keeps it if no run was trained.

    Raises:
        ValueError: this system has no signal for it, or the program handles it itself.
    """
    if asked_for() is not None:
        log.info("The stacks of this training are sampled already; +stacks has no effect")
        yield
        return
    with own_folder() as folder:
        os.environ[FOLDER] = str(folder)
        try:
            answer(folder)
            with _process(folder, settings.mean_interval_s, seed, runs):
                try:
                    yield
                finally:
                    answer_no_more()
        finally:
            del os.environ[FOLDER]


@contextmanager
def _process(folder: Path, mean_s: float, seed: int, runs: Path) -> Iterator[None]:
    words = json.dumps([str(folder), mean_s, seed, str(runs)])
    process = subprocess.Popen(
        [sys.executable, "-m", "qa_research.stacks.beside", words], stdin=subprocess.PIPE
    )
    try:
        yield
    finally:
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            log.warning("What was sampled is still being written, by process %d", process.pid)


def main(words: str) -> None:
    """Sample what announces itself in a folder until standard input ends; then keep it and tell of it."""
    from qa_research.console import start_logging
    from qa_research.stacks.collecting import collect
    from qa_research.stacks.sampler import Sampler
    from qa_research.stacks.telling import tell

    # The training decides when it is over: it may still save after a Ctrl-C.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    folder, mean_s, seed, runs = parse_json(words, "what is to be sampled")
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.buffer.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    sampler = Sampler(Path(folder), mean_s, seed, begun_s=None)
    sampler.run_until(ended.is_set)
    sampler.end()
    # A training that was killed did not do it.
    shutil.rmtree(folder, ignore_errors=True)
    start_logging()
    tell(collect(sampler, Path(runs)))


if __name__ == "__main__":
    main(sys.argv[1])
