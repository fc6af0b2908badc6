"""From what processes answered to recordings in the ledger: named frames, phases, steps, one for each run."""

import linecache
import logging
import os
import re
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from qa_research.ledger.runs import LEDGER, Ledger
from qa_research.ledger.stacks import Frame, Recording, Sample, Stack, write_recording
from qa_research.stacks.dumps import RawFrame, ThreadStack
from qa_research.stacks.phases import ENDING, STARTING, UNKNOWN, phase_of
from qa_research.stacks.sampler import Asked, Sampler, Target

log = logging.getLogger(__name__)
MOST_CHARACTERS = 160
# Of `sampled.Announcement`.
ANSWERING = ("_answer", "_answer_again")
# Before a file's place in a package, or in Python's own library.
_INSTALLED = re.compile(r".*/(?:site|dist)-packages/")
_PYTHON = re.compile(r".*/lib/(python3\.\d+)/")
_LAB = re.compile(r".*/(?=qa_research/[^/])")


def collect(sampler: Sampler, runs: Path) -> list[tuple[Recording, Path]]:
    """The recordings of all processes, each with the ledger that it belongs to.

    `runs`: the folder whose ledger takes those of programs that trained no run.
    """
    found = []
    for target in sampler.targets:
        samples = _samples(target)
        for recording, folder in _recordings(sampler, target, samples):
            found.append((recording, (folder or runs) / LEDGER))
    return found


def keep(recordings: Sequence[tuple[Recording, Path]]) -> None:
    """Write recordings to their ledgers.

    Raises:
        ValueError, OSError: a ledger cannot be written.
    """
    for recording, path in recordings:
        with Ledger(path) as ledger:
            write_recording(ledger, recording)


def _recordings(
    sampler: Sampler, target: Target, samples: Sequence[Sample]
) -> list[tuple[Recording, Path | None]]:
    """One for each run that a process trained; what came before a run's start belongs to it."""
    begun = target.begun_s
    ended = (target.ended_s or time.monotonic()) - begun
    runs: list[dict[str, Any]] = target.said["runs"] or [{}]
    found = []
    first = target.from_s - begun
    for place, run in enumerate(runs):
        last = place == len(runs) - 1
        to = ended if last or run["to_s"] is None else run["to_s"] - begun
        directory = Path(run["directory"]) if "directory" in run else None
        mine = [s for s in samples if first <= s.at_s < to or (last and s.at_s >= to)]
        started = datetime.now(UTC) - timedelta(seconds=time.monotonic() - begun)
        recording = Recording(
            run_id=run.get("id"),
            run=run.get("name") or " ".join(map(os.path.basename, target.said["command"][:1])),
            rank=target.said["rank"],
            started=started.isoformat(timespec="seconds"),
            command=tuple(target.said["command"]),
            mean_s=sampler.mean_s,
            seed=sampler.seed,
            from_s=first,
            to_s=to,
            ending=target.ending if last else "ended",
            samples=tuple(_with_steps(mine, target, run.get("from_s", 0.0))),
            facts=_facts(target, run),
        )
        found.append((recording, None if directory is None else directory.parents[1]))
        first = to
    return found


def _facts(target: Target, run: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        key: value
        for key, value in run.items()
        if key not in ("id", "name", "directory", "from_s", "to_s")
    }
    return {"processors": target.said["processors"], "cores": target.said["cores"], **known}


def _samples(target: Target) -> list[Sample]:
    """Each question with its answer, in seconds since the process was started."""
    return [
        _sample(target, asked, target.answers.get(asked.question, ())) for asked in target.asked
    ]


def _with_steps(samples: Sequence[Sample], target: Target, from_s: float) -> Iterator[Sample]:
    """Each with the last step that was done by then, of the run that was started at `from_s`.

    The steps of the run before, in a sweep, are not this one's.
    """
    steps = [(moment - target.begun_s, step) for moment, step in target.steps if moment >= from_s]
    ends = [moment for moment, _ in steps]
    for sample in samples:
        done = bisect_right(ends, sample.at_s)
        yield replace(sample, step=steps[done - 1][1] if done else None)


def _sample(target: Target, asked: Asked, threads: tuple[ThreadStack, ...]) -> Sample:
    main = [thread for thread in threads if thread.thread == target.said["main_thread"]]
    others = [thread for thread in threads if thread.thread != target.said["main_thread"]]
    stack = named(main[0].frames) if main else ()
    left_s = target.said["left_s"]
    phase = phase_of(stack) if stack else UNKNOWN
    if not stack and asked.at_s < target.said["registered_s"]:
        phase = STARTING
    elif not stack and left_s is not None and asked.at_s > left_s:
        phase = ENDING
    return Sample(
        at_s=asked.at_s - target.begun_s,
        phase=phase,
        stack=stack,
        is_cut=bool(main) and main[0].is_cut,
        memory_mb=asked.usage.memory_mb,
        cpu_s=asked.usage.cpu_s,
        others=tuple(named(thread.frames) for thread in others),
    )


@lru_cache(maxsize=1 << 14)
def named(frames: tuple[RawFrame, ...]) -> Stack:
    """The frames without the folders that differ between machines, and with the text of their lines."""
    # Where a process answered, its innermost frames are the answering itself.
    end = next((place for place, frame in enumerate(frames) if _answers(frame)), None)
    return tuple(_named(frame) for frame in frames[:end])


def _answers(frame: RawFrame) -> bool:
    return frame.function in ANSWERING and frame.path.endswith("qa_research/sampled.py")


@lru_cache(maxsize=1 << 16)
def _named(raw: RawFrame) -> Frame:
    text = linecache.getline(raw.path, raw.line).strip()[:MOST_CHARACTERS]
    return Frame(short_path(raw.path), raw.line, raw.function, text)


def short_path(path: str) -> str:
    """A file without the folder that it is installed in, or else its name and its folder's.

    >>> short_path("/home/ada/.venv/lib/python3.11/site-packages/torch/nn/modules/linear.py")
    'torch/nn/modules/linear.py'
    >>> short_path("/usr/lib/python3.11/threading.py")
    'python3.11/threading.py'
    >>> short_path("/home/ada/lab/train.py")
    'lab/train.py'
    """
    for pattern in (_INSTALLED, _LAB):
        if (found := pattern.match(path)) is not None:
            return path[found.end() :]
    if (found := _PYTHON.match(path)) is not None:
        return f"{found[1]}/{path[found.end() :]}"
    return "/".join(path.split("/")[-2:])
