"""The sampled stacks of a run, taken out of one ledger and put into another."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, cast

from annotated_types import Ge, Gt
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from qa_research.config import first_fault
from qa_research.files import parse_json
from qa_research.ledger.runs import Ledger
from qa_research.ledger.stacks import (
    Frame,
    Recording,
    Sample,
    Stack,
    insert_recording,
    list_recordings,
    read_recording,
)
from qa_research.plain import check_plain

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Count = Annotated[int, Ge(0)]
Size = Annotated[int, Ge(1)]
Amount = Annotated[float, Ge(0)]


@with_config(ConfigDict(extra="allow", strict=True, allow_inf_nan=False))
class Facts(TypedDict, total=False):
    """Facts that a verdict reckons with; others may be told, too."""

    processors: Size | None
    cores: Size | None
    threads: Size | None
    processes: Size | None
    workers: Count | None
    device: str
    precision: str
    parameters: dict[str, Count]
    batch: dict[str, str]
    capture_budget: Amount | None


@with_config(_STRICT)
@dataclass(frozen=True)
class CarriedSamples:
    """Samples, as a list for each of their values. `stack`, `others`: places in the list of stacks."""

    at_s: list[Amount]
    phase: list[str]
    stack: list[Count]
    step: list[Count | None]
    is_cut: list[bool]
    memory_mb: list[Amount | None]
    cpu_s: list[Amount | None]
    others: list[list[Count]]


@with_config(_STRICT)
@dataclass(frozen=True)
class CarriedRecording:
    """A recording, as `Recording`."""

    rank: Count
    started: str | None
    command: list[str]
    mean_s: Annotated[float, Gt(0)]
    seed: int
    from_s: Amount
    to_s: Amount
    ending: str
    facts: Facts
    samples: CarriedSamples


@with_config(_STRICT)
@dataclass(frozen=True)
class CarriedStacks:
    """All recordings of a run. `frames`: file, line, function and text; `stacks`: places among them."""

    run_id: str
    frames: list[tuple[str, Count, str, str]]
    stacks: list[list[Count]]
    recordings: list[CarriedRecording]


_STACKS: TypeAdapter[CarriedStacks] = TypeAdapter(CarriedStacks)


def carried_stacks(ledger: Ledger, run_id: str) -> CarriedStacks | None:
    """All recordings of a run, in an order that does not depend on the ledger; None if it has none."""
    entries = list_recordings(ledger, run_id)
    recordings = sorted((read_recording(ledger, entry.number) for entry in entries), key=_order)
    places = _Places()
    carried = [_carried(recording, places) for recording in recordings]
    if not carried:
        return None
    frames = [(f.file, f.line, f.function, f.text) for f in places.frames]
    return CarriedStacks(run_id, frames, list(places.stacks.values()), carried)


def carried_stacks_json(carried: CarriedStacks) -> bytes:
    """Recordings as JSON, as `read_carried_stacks` reads them."""
    return _STACKS.dump_json(carried)


def read_carried_stacks(content: bytes, name: str, run_id: str) -> list[Recording]:
    """The recordings in a JSON text; `name` begins the error.

    Raises:
        ValueError: it is not that, contradicts itself, or is of another run than `run_id`.
    """
    found = parse_json(content, name)
    check_plain(found, name)
    try:
        carried = _STACKS.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{name} {first_fault(error)}") from error
    if carried.run_id != run_id:
        raise ValueError(f"{name} has stacks of another run: {carried.run_id!r:.60}, not {run_id}")
    try:
        frames = [Frame(*values) for values in carried.frames]
        stacks: list[Stack] = [tuple(frames[place] for place in s) for s in carried.stacks]
        return [_recording(recording, run_id, stacks) for recording in carried.recordings]
    except IndexError as error:
        raise ValueError(f"{name} names a line or stack that it does not have") from error
    except ValueError as error:
        raise ValueError(f"{name} has {error}") from error


def add_carried_stacks(ledger: Ledger, recordings: list[Recording], run: str) -> int:
    """Write the recordings that the ledger does not have yet, of the run that is called `run` there.

    All or nothing; how many were new.
    """
    with ledger.writing() as connection:
        new = [r for r in recordings if not _is_there(connection, r)]
        for recording in new:
            insert_recording(connection, replace(recording, run=run))
    return len(new)


def _is_there(connection: sqlite3.Connection, recording: Recording) -> bool:
    """Whether the ledger has it: its command and facts may have been written without names of people."""
    found = connection.execute(
        "SELECT 1 FROM stack_recordings WHERE run_id = ? AND rank = ? AND started IS ? AND seed IS ? "
        "AND from_s IS ? AND to_s IS ? AND "
        "(SELECT count(*) FROM stack_samples WHERE recording_id = id) = ?",
        (recording.run_id, *_key(recording)),
    )
    return found.fetchone() is not None


def _key(recording: Recording) -> tuple[Any, ...]:
    """What two recordings of a run differ in."""
    r = recording
    return r.rank, r.started, r.seed, r.from_s, r.to_s, len(r.samples)


def _order(recording: Recording) -> tuple[Any, ...]:
    return (recording.started or "", *(value for value in _key(recording) if value is not None))


class _Places:
    """Frames and stacks, each once, in the order in which they are first needed."""

    def __init__(self) -> None:
        self.frames: dict[Frame, int] = {}
        self.stacks: dict[int, list[int]] = {}
        self._places: dict[Stack, int] = {}
        self._known: dict[int, int] = {}
        self._kept: list[Stack] = []

    def of(self, stack: Stack) -> int:
        """The place of a stack."""
        # Equal stacks of a recording are one object; to hash its frames each time takes far longer.
        if id(stack) not in self._known:
            place = self._places.setdefault(stack, len(self._places))
            if place not in self.stacks:
                self.stacks[place] = [self._frame(frame) for frame in stack]
            self._kept.append(stack)
            self._known[id(stack)] = place
        return self._known[id(stack)]

    def _frame(self, frame: Frame) -> int:
        return self.frames.setdefault(frame, len(self.frames))


def _carried(recording: Recording, places: _Places) -> CarriedRecording:
    samples = recording.samples
    return CarriedRecording(
        rank=recording.rank,
        started=recording.started,
        command=list(recording.command),
        mean_s=recording.mean_s,
        seed=recording.seed,
        from_s=recording.from_s,
        to_s=recording.to_s,
        ending=recording.ending,
        facts=cast(Facts, dict(recording.facts)),
        samples=CarriedSamples(
            at_s=[s.at_s for s in samples],
            phase=[s.phase for s in samples],
            stack=[places.of(s.stack) for s in samples],
            step=[s.step for s in samples],
            is_cut=[s.is_cut for s in samples],
            memory_mb=[s.memory_mb for s in samples],
            cpu_s=[s.cpu_s for s in samples],
            others=[[places.of(stack) for stack in s.others] for s in samples],
        ),
    )


def _recording(carried: CarriedRecording, run_id: str, stacks: list[Stack]) -> Recording:
    if carried.started is not None and not _is_moment(carried.started):
        raise ValueError(
            f"started={carried.started!r:.60}; expected an ISO 8601 time with its zone"
        )
    if carried.to_s < carried.from_s:
        raise ValueError(f"a recording from {carried.from_s:g} s to {carried.to_s:g} s")
    return Recording(
        run_id=run_id,
        run="",
        rank=carried.rank,
        started=carried.started,
        command=tuple(carried.command),
        mean_s=carried.mean_s,
        seed=carried.seed,
        from_s=carried.from_s,
        to_s=carried.to_s,
        ending=carried.ending,
        samples=tuple(_samples(carried.samples, stacks)),
        facts=dict(carried.facts),
    )


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _samples(carried: CarriedSamples, stacks: list[Stack]) -> Iterator[Sample]:
    columns = (
        *(carried.at_s, carried.phase, carried.stack, carried.step, carried.is_cut),
        *(carried.memory_mb, carried.cpu_s, carried.others),
    )
    if len({len(column) for column in columns}) > 1:
        raise ValueError("samples with values of different numbers")
    for at_s, phase, stack, step, is_cut, memory_mb, cpu_s, others in zip(*columns, strict=True):
        threads = tuple(stacks[place] for place in others)
        yield Sample(at_s, phase, stacks[stack], step, is_cut, memory_mb, cpu_s, threads)
