"""The stacks in the old lab's database: which were seen, how often, and in which function of the trainer.

The old lab interrupted trainings at random times and took each one's traceback. The lines went into a table
that is called as the trainer's innermost function in it, and `call_sequence` has each traceback as the text
of a list of that table's ids. They stand as a traceback is printed ("most recent call last"), so the
outermost line comes first. A line's tally counts every time that it was in a traceback, a recursion's twice.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qa_research.files import parse_json
from qa_research.ledger.old_lab.database import (
    LONGEST_PATH,
    Oddities,
    check_columns,
    columns_of,
    count_of,
    quoted,
    rows_in,
    rows_of,
)
from qa_research.ledger.stacks import BACKWARD_SAMPLES, STEP_SAMPLES, Frame, Stack

SEQUENCES = "call_sequence"
_SEQUENCE_COLUMNS = ("id", "training_function", "seq_ids", "tally")
_LINE_COLUMNS = ("id", "file", "line", "function", "tally")
# Each sample is a row of the ledger, so that a few digits could fill the disk. The old lab took 2,900.
MOST_SAMPLES = 1_000_000
# Python's own limit is 1,000, unless a program sets another.
MOST_LINES = 10_000
UNKNOWN = Frame("unknown", 0, "unknown")
_TRAINER = "transformers/trainer.py"
# How many of a kind a note names.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class OldSequence:
    """A row of call_sequence: a stack that was seen `tally` times in a function of the trainer."""

    row: int
    training_function: str
    stack: Stack
    tally: int


@dataclass(frozen=True, slots=True)
class OldStacks:
    """All sampled stacks."""

    sequences: tuple[OldSequence, ...]

    @property
    def samples(self) -> int:
        """How often a training was interrupted."""
        return sum(sequence.tally for sequence in self.sequences)

    @property
    def by_function(self) -> dict[str, int]:
        """How many samples each function of the trainer has, the most first."""
        counts: Counter[str] = Counter()
        for sequence in self.sequences:
            counts[sequence.training_function] += sequence.tally
        return dict(counts.most_common())

    @property
    def facts(self) -> dict[str, int]:
        """How many samples were taken in a training step, and how many of these in its backward."""
        steps = [s for s in self.sequences if _has(s.stack, "training_step")]
        backward = [s for s in steps if _has(s.stack, "backward")]
        return {
            STEP_SAMPLES: sum(sequence.tally for sequence in steps),
            BACKWARD_SAMPLES: sum(sequence.tally for sequence in backward),
        }

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "samples": self.samples,
            "sequences": len(self.sequences),
            "by_function": self.by_function,
            **self.facts,
        }


def _has(stack: Stack, function: str) -> bool:
    return any(frame.function == function for frame in stack)


def read_stacks(connection: sqlite3.Connection, path: Path, odd: Oddities) -> OldStacks:
    """All stacks; none if there is no table call_sequence. What does not fit goes to `odd`.

    A line that its table does not have is `UNKNOWN` in the stack. Tallies are those of call_sequence.

    Raises:
        ValueError: the table has other columns, or counts more samples than `MOST_SAMPLES`.
    """
    reader = _Reader(connection, odd)
    columns = columns_of(connection, SEQUENCES)
    if columns:
        check_columns(path, SEQUENCES, columns, _SEQUENCE_COLUMNS)
        for values in rows_in(connection, SEQUENCES, _SEQUENCE_COLUMNS, odd):
            reader.add(*values)
    stacks = OldStacks(tuple(reader.sequences))
    if stacks.samples > MOST_SAMPLES:
        raise ValueError(
            f"{path} counts {stacks.samples:,} samples of stacks in {SEQUENCES}; at most "
            f"{MOST_SAMPLES:,} can be imported"
        )
    odd.notes += [*reader.tallies_that_differ(), *_told_twice(stacks), *_out_of_order(stacks)]
    odd.notes += reader.tables_without_sequences()
    return stacks


@dataclass(slots=True)
class _Table:
    """The lines of one function of the trainer, by id; `seen`: how often they are in its sequences."""

    frames: dict[int, Frame] = field(default_factory=dict)
    tallies: dict[int, int] = field(default_factory=dict)
    seen: Counter[int] = field(default_factory=Counter)

    @property
    def differing(self) -> list[int]:
        """The rows whose tally is another."""
        return [row for row, tally in self.tallies.items() if tally != self.seen[row]]


class _Reader:
    """Reads sequences one by one, and each table when the first sequence of it comes."""

    def __init__(self, connection: sqlite3.Connection, odd: Oddities) -> None:
        self.sequences: list[OldSequence] = []
        self._connection, self._odd = connection, odd
        self._tables: dict[str, _Table | None] = {}

    def add(self, row: int, function: Any, ids: Any, tally: Any) -> None:
        """Read a row of call_sequence; one that cannot be kept goes to the notes."""
        where = f"row {row} of {SEQUENCES}"
        count, numbers = count_of(tally), _ids_of(ids)
        if not _is_name(function) or not count or not numbers:
            self._odd.notes.append(
                f"{where} was skipped because it has no function, list of ids or tally: "
                f"training_function={function!r:.100}, seq_ids={ids!r:.100}, tally={tally!r:.50}"
            )
            return
        self._odd.count_text(f"tally of {SEQUENCES}", tally)
        if function not in self._tables:
            self._tables[function] = self._read_table(function)
        table = self._tables[function]
        if table is None:
            self._odd.notes.append(
                f"{where}, with {_samples(count)}, was skipped because there is no table "
                f"{function!r:.200} with {', '.join(_LINE_COLUMNS)}"
            )
            return
        if missing := [number for number in dict.fromkeys(numbers) if number not in table.frames]:
            self._odd.notes.append(
                f"{where} names {_list('the id', missing)}, which {function!r:.200} does not have: "
                f"unknown lines in a stack of {len(numbers)}"
            )
        for number in numbers:
            table.seen[number] += count
        stack = tuple(table.frames.get(number, UNKNOWN) for number in numbers)
        self.sequences.append(OldSequence(row, function, stack, count))

    def _read_table(self, name: str) -> _Table | None:
        if not set(_LINE_COLUMNS) <= columns_of(self._connection, name):
            return None
        table = _Table()
        for row, file, line, function, tally in rows_in(
            self._connection, name, _LINE_COLUMNS, self._odd
        ):
            where = f"row {row} of {name!r:.200}"
            if row in table.frames or not (_is_name(file) and _is_name(function)):
                self._odd.notes.append(
                    f"{where} was skipped because it has no file, function or id of its own: "
                    f"file={file!r:.100}, function={function!r:.100}"
                )
                continue
            number, count = count_of(line), count_of(tally)
            if number is None or count is None:
                self._odd.notes.append(
                    f"{where} has no line or tally: line={line!r:.50}, tally={tally!r:.50}"
                )
            self._odd.count_text("line of the functions' tables", line)
            table.frames[row] = Frame(file, number or 0, function)
            if count is not None:
                table.tallies[row] = count
        return table

    def tallies_that_differ(self) -> Iterator[str]:
        """A sentence for each table whose tallies are not what its sequences come to."""
        for name, table in self._tables.items():
            if table is not None and (rows := table.differing):
                told = [
                    f"row {row} says {table.tallies[row]:,}, they say {table.seen[row]:,}"
                    for row in rows[:_NAMED]
                ]
                yield (
                    f"{name!r:.200}: {len(rows)} of {rows_of(len(table.frames))} with another tally than the "
                    f"sequences, which count: {'; '.join(told)}{_more(rows)}"
                )

    def tables_without_sequences(self) -> Iterator[str]:
        """A sentence for each table of lines that no sequence is of."""
        known = {name.lower() for name in self._tables}
        names = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid"
        ).fetchall()
        for (name,) in names:
            is_of_lines = set(_LINE_COLUMNS) <= columns_of(self._connection, name)
            if name.lower() not in known and is_of_lines:
                (rows,) = self._connection.execute(
                    f"SELECT count(*) FROM {quoted(name)}"
                ).fetchone()
                yield f"{name!r:.200} was skipped: no sequence has any of its {rows_of(rows)}"


def _told_twice(stacks: OldStacks) -> Iterator[str]:
    """A sentence for each stack that several rows of call_sequence have; the ledger counts them together."""
    places: dict[tuple[str, Stack], list[int]] = {}
    for sequence in stacks.sequences:
        key = (sequence.training_function, sequence.stack)
        places.setdefault(key, []).append(sequence.row)
    for (function, _), rows in places.items():
        if len(rows) > 1:
            yield f"{_list('row', rows)} of {SEQUENCES} are one stack, of {function!r:.200}"


def _out_of_order(stacks: OldStacks) -> Iterator[str]:
    """A sentence if stacks contradict that their outermost line comes first."""
    rows = []
    for sequence in stacks.sequences:
        of_trainer = [f.function for f in sequence.stack if f.file.endswith(_TRAINER)]
        if of_trainer and of_trainer[-1] != sequence.training_function:
            rows.append(sequence.row)
    if rows:
        yield (
            f"{_list('row', rows)} of {SEQUENCES}: the last line of {_TRAINER} is not of the function they "
            "are listed under, as it is where the outermost line comes first; the order was kept"
        )


def _ids_of(value: Any) -> list[int]:
    """The ids in the text of a list; none if it is not one, or is longer than a stack can be."""
    try:
        found = parse_json(value, "seq_ids") if isinstance(value, str) else None
    except ValueError:
        return []
    if not isinstance(found, list) or len(found) > MOST_LINES:
        return []
    numbers = [number for value in found if (number := count_of(value)) is not None]
    return numbers if len(numbers) == len(found) else []


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_PATH and "\0" not in value


def _list(what: str, numbers: Sequence[int]) -> str:
    """`row 3`, `rows 3, 4, 5 and 2 more`."""
    shown = ", ".join(map(str, numbers[:_NAMED]))
    return f"{what}{'s' if len(numbers) > 1 else ''} {shown}{_more(numbers)}"


def _more(found: Sequence[int]) -> str:
    return f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""


def _samples(count: int) -> str:
    return f"{count:,} sample{'' if count == 1 else 's'}"
