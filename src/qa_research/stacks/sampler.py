"""Asks processes for their stacks at random times, from outside, and keeps what they answer.

The times do not depend on what a process does, so what it does in a share of its time is seen in that share
of the samples (Wolff 1982, Operations Research 30: Poisson arrivals see time averages).
"""

import ctypes
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qa_research.files import read_json
from qa_research.sampled import STEP, start_ticks
from qa_research.stacks.dumps import Dump, DumpReader
from qa_research.streams import stream_seed

# How soon a process that has just announced itself is noticed.
SECONDS_BETWEEN_LOOKS = 0.05
# A file of dumps is emptied when it has grown to this size and nothing has been asked for a while.
MOST_BYTES = 4_000_000
QUIET_S = 0.03
# How long a process that was asked last may take to answer.
PATIENCE_S = 1.0
MOST_OWED = 20
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """When a process was asked, by the monotonic clock, and how much memory and time it had used by then.

    `was_sent`: not where it could not answer yet, or owed many answers.
    """

    at_s: float
    was_sent: bool
    memory_mb: float | None
    cpu_s: float | None


@dataclass
class Target:
    """One process that is sampled. `answers`: a dump for each of `asked` that was sent, in the same order."""

    path: Path
    said: dict[str, Any]
    reader: DumpReader
    clock: random.Random
    next_s: float
    steps_file: Any
    from_s: float
    begun_s: float
    sent: int = 0
    asked: list[Asked] = field(default_factory=list)
    answers: list[Dump] = field(default_factory=list)
    steps: list[tuple[float, int]] = field(default_factory=list)
    ended_s: float | None = None
    ending: str = "died"

    @property
    def has_left(self) -> bool:
        """Whether it was seen to answer no more."""
        return self.ended_s is not None

    def read(self) -> None:
        """Take over what it has answered and said since."""
        self.answers.extend(self.reader.dumps())
        with suppress(OSError, ValueError):
            self.said = read_json(self.path)
        self._read_steps()

    def end(self) -> None:
        """Take over all that is left once it answers no more."""
        self.read()
        if self.said["runs"] and all(run["to_s"] is not None for run in self.said["runs"]):
            self.ending = "ended"
        elif not self.path.exists():
            # It was withdrawn.
            self.ending = "ended"
        elif is_alive(self.said):
            self.ending = "stopped"
        self.answers.extend(self.reader.last())
        self.reader.close()
        self.steps_file.close()
        self.ended_s = time.monotonic()

    def _read_steps(self) -> None:
        data = self.steps_file.read()
        # Not a part of one that is just being written.
        rest = len(data) % STEP.size
        if rest:
            self.steps_file.seek(-rest, 1)
            data = data[:-rest]
        self.steps.extend(STEP.iter_unpack(data))


class Sampler:
    """Samples every process that announces itself in a folder, each at times of its own.

    `mean_s`: the mean distance of two samples of a process. `begun_s`: of a process that was started to be
    sampled, when: times before its announcement count as samples without a stack.
    """

    def __init__(self, folder: Path, mean_s: float, seed: int, begun_s: float | None) -> None:
        self.folder, self.mean_s, self.seed, self.begun_s = folder, mean_s, seed, begun_s
        self.targets: list[Target] = []
        self._known: set[Path] = set()
        self._next_look = 0.0

    def run_until(self, has_ended: Callable[[], bool], looks: bool = True) -> None:
        """Sample until told to end. `looks`: for processes that announce themselves later, too."""
        while not has_ended():
            now = time.monotonic()
            if now >= self._next_look:
                if looks:
                    self.look()
                self._next_look = now + SECONDS_BETWEEN_LOOKS
            due = min((t.next_s for t in self.targets if t.ended_s is None), default=now + 1)
            pause = min(due, self._next_look) - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            for target in self.targets:
                if target.ended_s is None and target.next_s <= time.monotonic():
                    self._ask(target)

    def look(self) -> None:
        """Add the processes that have announced themselves since."""
        for path in sorted(self.folder.glob("*.json")):
            if path not in self._known:
                self._known.add(path)
                self.add(path)

    def add(self, path: Path) -> Target:
        """Sample the process that this announcement is of, from now on."""
        said = read_json(path)
        rank = len(self.targets)
        clock = random.Random(stream_seed(self.seed, "stacks", rank))
        now = time.monotonic()
        # The first process was started by us; before it could answer it was being started, too.
        begun = self.begun_s if self.begun_s is not None and not self.targets else now
        target = Target(
            path=path,
            said=said,
            reader=DumpReader(path.with_suffix(".dumps")),
            clock=clock,
            next_s=begun + clock.expovariate(1 / self.mean_s),
            steps_file=path.with_suffix(".steps").open("rb", buffering=0),
            from_s=begun,
            begun_s=begun if begun < now else began(said, now),
        )
        while target.next_s < now:
            target.asked.append(Asked(target.next_s, False, None, None))
            target.next_s += clock.expovariate(1 / self.mean_s)
        self.targets.append(target)
        return target

    def end(self) -> None:
        """Take over what is left, once the processes have ended or shall be left alone."""
        deadline = time.monotonic() + PATIENCE_S
        for target in self.targets:
            if target.ended_s is None:
                target.read()
                while (
                    target.sent - len(target.answers) > 1
                    and time.monotonic() < deadline
                    and is_alive(target.said)
                ):
                    time.sleep(0.01)
                    target.read()
                target.end()

    def _ask(self, target: Target) -> None:
        now = time.monotonic()
        target.next_s += target.clock.expovariate(1 / self.mean_s)
        target.answers.extend(target.reader.dumps())
        owes = target.sent - len(target.answers)
        if target.reader.size > MOST_BYTES and owes <= 1 and now - target.asked[-1].at_s > QUIET_S:
            target.reader.empty()
        pid = target.said["pid"]
        usage = usage_of(pid)
        if not is_alive(target.said):
            target.end()
            return
        # One that is suspended would have to answer all of them when it goes on.
        if is_sent := owes < MOST_OWED:
            try:
                ask(pid, target.said["signal"])
            except ProcessLookupError:
                target.end()
                return
            target.sent += 1
        target.asked.append(Asked(now, is_sent, *usage))


def began(said: dict[str, Any], now: float) -> float:
    """When a process was started, by the monotonic clock; where that is unknown, when it announced itself."""
    if said["start_ticks"] is None:
        return float(said["registered_s"])
    ticks: int = said["start_ticks"]
    return now - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / _TICKS)


def ask(pid: int, number: int) -> None:
    """Send a process the signal, to its main thread: dumps of two threads at once would mix.

    Raises:
        ProcessLookupError: there is no such process any more.
        PermissionError: it is somebody else's.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "tgkill"):
        os.kill(pid, number)
    elif library.tgkill(pid, pid, number):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def is_alive(said: dict[str, Any]) -> bool:
    """Whether the process of an announcement still runs, and its number is not another's by now."""
    if said["start_ticks"] is not None:
        return start_ticks(said["pid"]) == said["start_ticks"] and not _is_zombie(said["pid"])
    try:
        os.kill(said["pid"], 0)
    except ProcessLookupError:
        return False
    return True


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b")")[2].split()[0] == b"Z"


def usage_of(pid: int) -> tuple[float | None, float | None]:
    """The resident memory of a process in MB and its processor time in s; None where it is not told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None, None
    return pages * _PAGE / 1e6, (int(fields[11]) + int(fields[12])) / _TICKS
