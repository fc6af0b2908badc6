"""`stacks -- COMMAND`: start a program so that it can be sampled, and sample it until it ends."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qa_research.sampled import FOLDER, SIGNAL
from qa_research.stacks.sampler import Sampler

# A folder in memory, if there is one: what is written there costs the program less.
_IN_MEMORY = Path("/dev/shm")


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that nobody else can read, for as long as processes are sampled."""
    memory = str(_IN_MEMORY) if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="qa_research-", dir=memory) as folder:
        yield Path(folder)


def sample_command(
    words: Sequence[str], mean_s: float, seed: int, folder: Path
) -> tuple[Sampler, int]:
    """Run a command and sample it; the sampler, and the command's exit code.

    Ctrl-C reaches the command too, which ends as it would alone; it is sampled until then.

    Raises:
        FileNotFoundError: there is no such command.
        ValueError: this system has no signal for it.
    """
    if SIGNAL is None:
        raise ValueError("stacks cannot be sampled on this system, which has no signal for it")
    if shutil.which(words[0]) is None:
        raise FileNotFoundError(
            f"there is no command {words[0]!r}; check its name, or give its path"
        )
    begun = time.monotonic()
    environment = {**os.environ, FOLDER: str(folder)}
    # What a program inherits: one that came before its announcement would end it otherwise.
    before = signal.signal(SIGNAL, signal.SIG_IGN)
    try:
        process = subprocess.Popen(list(words), env=environment)
    finally:
        signal.signal(SIGNAL, before)
    sampler = Sampler(folder, mean_s, seed, begun)
    sampler.run_until(lambda: process.poll() is not None)
    sampler.end()
    return sampler, process.returncode
