"""Sampled stacks in the ledger: a recording is written at once, and read back whole."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qa_research.files import parse_json
from qa_research.ledger.runs import Ledger

# Of the old lab's samples, among the facts of their recording: how many were taken in a training step, and
# how many of these in its backward.
STEP_SAMPLES, BACKWARD_SAMPLES = "step_samples", "backward_samples"


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of code in a stack. `file`: without the folder it is installed in; `line`: 0 if unknown.

    `text`: the line itself, or nothing where it could not be read.
    """

    file: str
    line: int
    function: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.function} ({self.file}:{self.line})"


# The outermost frame first.
Stack = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process did at one moment. `stack`: of the main thread; empty before Python's first line.

    `at_s`: seconds since the process was started. `step`: optimizer steps done by then; None before the first
    step and outside a training. `is_cut`: the outermost frames are missing. `memory_mb`: resident. `cpu_s`:
    processor time that the process has spent. `others`: the stacks of its other threads.
    """

    at_s: float
    phase: str
    stack: Stack
    step: int | None = None
    is_cut: bool = False
    memory_mb: float | None = None
    cpu_s: float | None = None
    others: tuple[Stack, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """The samples of one process while it trained one run, or of another program.

    `mean_s`: the mean distance of two samples; they were taken from `from_s` to `to_s`, in seconds since the
    process was started. `facts`: what else explains its speed, such as `processors` and `threads`.
    """

    run_id: str | None
    run: str
    rank: int
    started: str | None
    command: tuple[str, ...]
    mean_s: float
    seed: int
    from_s: float
    to_s: float
    ending: str
    samples: tuple[Sample, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def caveat(self) -> str | None:
        """What must be known of these samples wherever they are shown; None: nothing, as of all of ours."""
        return caveat_of(self.facts)


def caveat_of(facts: Mapping[str, Any]) -> str | None:
    """What must be known of samples with these facts: of the old lab's, that they could hardly see backward.

    >>> caveat_of({"processors": 2})
    """
    seen, steps = facts.get(BACKWARD_SAMPLES), facts.get(STEP_SAMPLES)
    if not isinstance(seen, int) or not isinstance(steps, int):
        return None
    return (
        "each sample interrupted a training, and an interrupt waits until C++ returns, so they could hardly "
        f"see backward: it is in {seen:,} of {steps:,} samples of a training step"
    )


def write_recording(ledger: Ledger, recording: Recording) -> int:
    """Write a recording in one transaction; its number.

    Raises:
        OSError: the ledger cannot be written.
    """
    with ledger.writing() as connection:
        return insert_recording(connection, recording)


def insert_recording(connection: sqlite3.Connection, recording: Recording) -> int:
    """Write a recording within a transaction; its number."""
    row = connection.execute(
        "INSERT INTO stack_recordings (run_id, run, rank, started, command, mean_s, seed, from_s, to_s, "
        "ending, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            recording.run_id,
            recording.run,
            recording.rank,
            recording.started,
            json.dumps(recording.command, ensure_ascii=False),
            recording.mean_s,
            recording.seed,
            recording.from_s,
            recording.to_s,
            recording.ending,
            json.dumps(recording.facts, ensure_ascii=False, sort_keys=True),
        ),
    )
    assert row.lastrowid is not None
    rows = StackRows(connection)
    for place, sample in enumerate(recording.samples):
        connection.execute(
            "INSERT INTO stack_samples (recording_id, place, at_s, step, phase, stack_id, is_cut, "
            "memory_mb, cpu_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.lastrowid,
                place,
                sample.at_s,
                sample.step,
                sample.phase,
                rows.id_of(sample.stack),
                sample.is_cut,
                sample.memory_mb,
                sample.cpu_s,
            ),
        )
        connection.executemany(
            "INSERT INTO stack_threads (recording_id, place, thread, stack_id) VALUES (?, ?, ?, ?)",
            [
                (row.lastrowid, place, thread, rows.id_of(stack))
                for thread, stack in enumerate(sample.others)
            ],
        )
    return row.lastrowid


class StackRows:
    """The rows of stacks and their frames, each added when it is first needed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._stacks: dict[Stack, int] = {}
        self._frames: dict[Frame, int] = {}

    def id_of(self, stack: Stack) -> int:
        """The id of a stack's row."""
        if stack not in self._stacks:
            frames = json.dumps([self._frame(frame) for frame in stack])
            self._stacks[stack] = self._row("stacks", {"frames": frames})
        return self._stacks[stack]

    def _frame(self, frame: Frame) -> int:
        if frame not in self._frames:
            columns = {name: getattr(frame, name) for name in ("file", "line", "function", "text")}
            self._frames[frame] = self._row("stack_frames", columns)
        return self._frames[frame]

    def _row(self, table: str, columns: Mapping[str, Any]) -> int:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        values = tuple(columns.values())
        self._connection.execute(
            f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", values
        )
        where = " AND ".join(f"{name} = ?" for name in columns)
        (row,) = self._connection.execute(f"SELECT id FROM {table} WHERE {where}", values)
        return int(row["id"])


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """A recording without its samples. `number`: its id in the ledger; `is_imported`: the old lab's.

    `from_s` to `to_s`: when it was sampled, in seconds since the process was started.
    `caveat`: what must be known of its samples wherever they are shown.
    """

    number: int
    run_id: str | None
    run: str
    rank: int
    started: str | None
    from_s: float
    to_s: float
    samples: int
    is_imported: bool
    caveat: str | None


def list_recordings(ledger: Ledger, run_id: str | None = None) -> list[RecordingEntry]:
    """All recordings of stacks, or those of a run, in the order in which they were written."""
    if not ledger.has_table("stack_recordings"):
        return []
    with ledger.reading() as connection:
        rows = connection.execute(
            "SELECT stack_recordings.*, (SELECT count(*) FROM stack_samples WHERE recording_id = id) "
            "AS samples FROM stack_recordings WHERE ?1 IS NULL OR run_id = ?1 ORDER BY id",
            (run_id,),
        ).fetchall()
    return [
        RecordingEntry(
            number=row["id"],
            run_id=row["run_id"],
            run=row["run"],
            rank=row["rank"],
            started=row["started"],
            from_s=row["from_s"] or 0.0,
            to_s=row["to_s"] or 0.0,
            samples=row["samples"],
            is_imported=row["import_id"] is not None,
            caveat=caveat_of(parse_json(row["facts"], "facts of a recording of stacks")),
        )
        for row in rows
    ]


def read_recording(ledger: Ledger, number: int) -> Recording:
    """A recording with its samples; the old lab's have no times, and 0 in their place.

    Raises:
        FileNotFoundError: there is none of this number.
    """
    with ledger.reading() as connection:
        row = connection.execute(
            "SELECT * FROM stack_recordings WHERE id = ?", (number,)
        ).fetchone()
        if row is None:
            raise FileNotFoundError(f"there is no recording of stacks with the number {number}")
        stacks = _stacks(connection, number)
        others = _others(connection, number, stacks)
        samples = [
            Sample(
                at_s=sample["at_s"] or 0.0,
                phase=sample["training_function"] or sample["phase"],
                stack=stacks[sample["stack_id"]],
                step=sample["step"],
                is_cut=bool(sample["is_cut"]),
                memory_mb=sample["memory_mb"],
                cpu_s=sample["cpu_s"],
                others=tuple(others.get(sample["place"], ())),
            )
            for sample in connection.execute(
                "SELECT * FROM stack_samples WHERE recording_id = ? ORDER BY place", (number,)
            )
        ]
    return Recording(
        run_id=row["run_id"],
        run=row["run"],
        rank=row["rank"],
        started=row["started"],
        command=tuple(parse_json(row["command"], "command of a recording of stacks")),
        mean_s=row["mean_s"] or 0.0,
        seed=row["seed"] or 0,
        from_s=row["from_s"] or 0.0,
        to_s=row["to_s"] or 0.0,
        ending=row["ending"] or "",
        samples=tuple(samples),
        facts=parse_json(row["facts"], "facts of a recording of stacks"),
    )


def _stacks(connection: sqlite3.Connection, number: int) -> dict[int, Stack]:
    """The stacks of a recording, by the ids of their rows."""
    frames = {
        row["id"]: Frame(row["file"], row["line"], row["function"], row["text"])
        for row in connection.execute("SELECT * FROM stack_frames")
    }
    rows = connection.execute(
        "SELECT id, frames FROM stacks WHERE id IN (SELECT stack_id FROM stack_samples WHERE "
        "recording_id = ?1 UNION SELECT stack_id FROM stack_threads WHERE recording_id = ?1)",
        (number,),
    )
    return {row["id"]: _named(row["frames"], frames) for row in rows}


def _named(text: str, frames: Mapping[int, Frame]) -> Stack:
    """The frames of a stack, whose ids are written as JSON."""
    ids = parse_json(text, "frames of a stack")
    if not isinstance(ids, list) or not all(isinstance(i, int) and i in frames for i in ids):
        raise ValueError("the ledger is damaged: a stack has frames that are not in it")
    return tuple(frames[i] for i in ids)


def _others(
    connection: sqlite3.Connection, number: int, stacks: Mapping[int, Stack]
) -> dict[int, list[Stack]]:
    found: dict[int, list[Stack]] = {}
    for row in connection.execute(
        "SELECT place, stack_id FROM stack_threads WHERE recording_id = ? ORDER BY place, thread",
        (number,),
    ):
        found.setdefault(row["place"], []).append(stacks[row["stack_id"]])
    return found


def tallies(samples: Sequence[Sample]) -> Iterator[tuple[Stack, int]]:
    """Each stack of the main thread with how often it was seen, the most frequent first."""
    # Equal stacks of a recording that was read are one object; to compare them by their frames takes longer.
    objects = {id(sample.stack): sample.stack for sample in samples}
    counts: dict[Stack, int] = {}
    for place, count in Counter(id(sample.stack) for sample in samples).items():
        counts[objects[place]] = counts.get(objects[place], 0) + count
    yield from sorted(counts.items(), key=lambda item: -item[1])
