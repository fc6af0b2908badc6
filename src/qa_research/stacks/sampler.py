"""Asks processes for their stacks at random times, from outside, and keeps what they answer.

A process answers between two steps of the interpreter. One that does not, though its main thread has run
for twenty milliseconds or sleeps, computes in C++, waits, or holds the lock in C, where it is made to write
its stack at once. One that has merely had no processor is left time: it may be in the middle of a step. Until
it answers it is where it was, so what would be asked meanwhile has the same answer.

The times do not depend on what a process does, so what it does in a share of its time is seen in that share
of the samples (Wolff 1982, Operations Research 30: Poisson arrivals see time averages).
"""

import mmap
import os
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from qa_research.files import read_json
from qa_research.sampled import (
    ANSWERED,
    ASKED,
    INSISTED,
    NUMBER,
    SHARED_BYTES,
    STEP,
)
from qa_research.stacks.dumps import Dump, DumpReader, ThreadStack
from qa_research.stacks.process import Process, Usage
from qa_research.streams import stream_seed

# How long a process that is asked runs until it is insisted; when it is first looked whether it has answered,
# and how often from then on; and after what time without a processor it is looked whether it still exists.
# An answer that is insisted on takes five times as long as one that the process gives itself, and each look
# takes processor time that the training may need, so the first one comes when it can decide.
RUN_S, FIRST_LOOK_S, LOOK_S, PATIENCE_S = 0.02, 0.021, 0.004, 0.3
# How soon a process that has just announced itself is noticed; and how long ago a folder changed at least
# when its time tells whether it has changed again.
SECONDS_BETWEEN_LOOKS = 0.05
SETTLED_NS = 200_000_000
# How often dumps are read. Their file is emptied when it has grown to this size and nothing has been asked
# for a while.
READ_S = 1.0
MOST_BYTES = 4_000_000
QUIET_S = 0.03


@dataclass(frozen=True, slots=True)
class Asked:
    """When a process was asked, by the monotonic clock, and what it had used by then.

    `question`: the number of the one that answers it; 0: it could not be asked yet.
    """

    at_s: float
    question: int
    usage: Usage


@dataclass
class Target:
    """One process that is sampled. `answers`: by the number of the question, as far as they came.

    `waiting`: since when its latest question is unanswered, and how long its main thread had run by then.
    """

    path: Path
    said: dict[str, Any]
    process: Process
    reader: DumpReader
    shared: mmap.mmap
    clock: random.Random
    next_s: float
    steps_file: IO[bytes]
    from_s: float
    begun_s: float
    questions: int = 0
    next_read_s: float = 0.0
    waiting: tuple[float, float] | None = None
    asked: list[Asked] = field(default_factory=list)
    answers: dict[int, tuple[ThreadStack, ...]] = field(default_factory=dict)
    steps: list[tuple[float, int]] = field(default_factory=list)
    ended_s: float | None = None
    ending: str = "died"

    @property
    def has_left(self) -> bool:
        """Whether it was seen to answer no more."""
        return self.ended_s is not None

    def read(self) -> None:
        """Take over what it has answered and said since."""
        self.take(self.reader.dumps())
        with suppress(OSError, ValueError):
            self.said = read_json(self.path)
        self.read_steps()

    def end(self) -> None:
        """Take over all that is left once it answers no more."""
        self.waiting = None
        self.read()
        if self.said["runs"] and all(run["to_s"] is not None for run in self.said["runs"]):
            self.ending = "ended"
        elif not self.path.exists():
            # It was withdrawn.
            self.ending = "ended"
        elif self.process.is_alive():
            self.ending = "stopped"
        self.take(self.reader.last())
        self.reader.close()
        self.shared.close()
        self.steps_file.close()
        self.process.close()
        self.ended_s = time.monotonic()

    def take(self, dumps: Iterable[Dump]) -> None:
        """Keep answers; of two to one question, the first."""
        for dump in dumps:
            self.answers.setdefault(dump.number, dump.threads)

    @property
    def has_answered(self) -> bool:
        """Whether it has begun to answer the latest question between two steps of the interpreter."""
        (answered,) = NUMBER.unpack_from(self.shared, ANSWERED)
        return bool(answered >= self.questions)

    def read_steps(self) -> None:
        """Take over the steps that have ended since."""
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
        self._looked_at_ns = 0

    def run_until(self, has_ended: Callable[[], bool], looks: bool = True) -> None:
        """Sample until told to end. `looks`: for processes that announce themselves later, too."""
        while not has_ended():
            now = time.monotonic()
            if now >= self._next_look:
                if looks:
                    self.look()
                self._next_look = now + SECONDS_BETWEEN_LOOKS
            pause = min(self._due(now), self._next_look) - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            now = time.monotonic()
            for target in self.targets:
                if target.waiting is not None and now >= target.waiting[0] + FIRST_LOOK_S:
                    self._wait_for(target)
                if target.ended_s is None and target.next_s <= time.monotonic():
                    self._ask(target)

    def _due(self, now: float) -> float:
        """When something is to be done next."""
        live = [target for target in self.targets if target.ended_s is None]
        due = min((target.next_s for target in live), default=now + 1)
        for target in live:
            if target.waiting is not None:
                first = target.waiting[0] + FIRST_LOOK_S
                due = min(due, first if first > now else now + LOOK_S)
        return due

    def look(self) -> None:
        """Add the processes that have announced themselves since, if anything in the folder has changed."""
        changed_ns = os.stat(self.folder).st_mtime_ns
        if changed_ns == self._looked_at_ns:
            return
        # A file that is made in the same tick of the clock leaves the folder's time as it is.
        if time.time_ns() - changed_ns > SETTLED_NS:
            self._looked_at_ns = changed_ns
        for path in sorted(self.folder.glob("*.json")):
            if path not in self._known:
                self._known.add(path)
                self.add(path)

    def add(self, path: Path) -> Target:
        """Sample the process that this announcement is of, from now on."""
        said = read_json(path)
        process = Process(said)
        rank = len(self.targets)
        clock = random.Random(stream_seed(self.seed, "stacks", rank))
        now = time.monotonic()
        # The first process was started by us; before it could answer it was being started, too.
        begun = self.begun_s if self.begun_s is not None and not self.targets else now
        shared = _shared(path.with_suffix(".shared"))
        target = Target(
            path=path,
            said=said,
            process=process,
            reader=DumpReader(path.with_suffix(".dumps"), said["main_thread"]),
            shared=shared,
            # It may have been sampled before: a number is asked once.
            questions=NUMBER.unpack_from(shared, ASKED)[0],
            clock=clock,
            next_s=begun + clock.expovariate(1 / self.mean_s),
            steps_file=path.with_suffix(".steps").open("rb", buffering=0),
            from_s=begun,
            begun_s=begun if begun < now else process.started(said["registered_s"]),
        )
        while target.next_s < now:
            target.asked.append(Asked(target.next_s, 0, Usage()))
            target.next_s += clock.expovariate(1 / self.mean_s)
        self.targets.append(target)
        return target

    def end(self) -> None:
        """Take over what is left, once the processes have ended or shall be left alone."""
        for target in self.targets:
            if target.ended_s is None:
                # The last answer may just be written.
                time.sleep(2 * LOOK_S)
                target.end()

    def _ask(self, target: Target) -> None:
        now, process = time.monotonic(), target.process
        target.next_s += target.clock.expovariate(1 / self.mean_s)
        usage = process.usage_if_alive()
        if usage is None:
            target.end()
            return
        if target.waiting is None or target.has_answered:
            self._empty(target, now)
            target.questions += 1
            target.waiting = now, process.run_time()
            NUMBER.pack_into(target.shared, ASKED, target.questions)
            if not process.send(target.said["ask"]):
                target.end()
                return
        target.asked.append(Asked(now, target.questions, usage))

    def _wait_for(self, target: Target) -> None:
        """Insist once it is certain that the process is in C, where its stack does not change."""
        assert target.waiting is not None
        process, (since, had_run) = target.process, target.waiting
        if target.has_answered:
            target.waiting = None
        elif process.run_time() - had_run >= RUN_S or process.sleeps():
            target.waiting = None
            NUMBER.pack_into(target.shared, INSISTED, target.questions)
            target.reader.mark(target.questions)
            if not process.send(target.said["insist"]):
                target.end()
        elif time.monotonic() - since > PATIENCE_S and not process.is_alive():
            target.end()

    def _empty(self, target: Target, now: float) -> None:
        """Read what was answered; cut the file short if it has grown and nothing is being written."""
        if now < target.next_read_s:
            return
        target.next_read_s = now + READ_S
        target.take(target.reader.dumps())
        is_quiet = bool(target.asked) and now - target.asked[-1].at_s > QUIET_S
        if is_quiet and target.reader.size > MOST_BYTES:
            target.reader.empty()


def _shared(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), SHARED_BYTES)
