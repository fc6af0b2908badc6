"""The old lab's database, stack_trace.db, read and never changed, with notes of what was odd.

What it asked, in states and searches, is read here, and the stacks that it sampled in stacks.py.
"""

import math
import re
import sqlite3
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from qa_research.ledger.old_lab.database import (
    EXPECTED,
    LONGEST_NAME,
    Oddities,
    check_columns,
    columns_of,
    count_of,
    digest_of,
    log_of,
    opened,
    rows_in,
    rows_of,
)
from qa_research.ledger.old_lab.stacks import SEQUENCES, OldStacks, read_stacks

# The old lab asked three questions at once.
ROUND = 3
# The training set of SQuAD v1.1: Rajpurkar et al. 2016.
KNOWN_SIZES = {"squad": 87_599}
_NAME = re.compile(r".+?(?P<random>-NoPretrain)?-(?P<step>\d{1,15})-(?P<data>.+)")
_STATE_COLUMNS = ("id", "model_type_state", "correct_num", "sample_num")
_INDEX_COLUMNS = ("id", "model_efficacy_id", "seq_num", "seq_ids")


@dataclass(frozen=True, slots=True)
class Slot:
    """A question of a search: its `index` (None: not kept) and its `round`, from 0.

    `crashed`: the old lab crashed on it, and never asked what was left of its round.
    """

    index: int | None
    round: int
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A row of sample_indices: one search of so many `questions`, with those that it stored, in order."""

    row: int
    questions: int
    slots: tuple[Slot, ...]

    @property
    def crashes(self) -> int:
        """How many rounds a crash cut short."""
        return len([slot for slot in self.slots if slot.crashed])

    @property
    def known(self) -> tuple[int, ...]:
        """The indices that were kept."""
        return tuple(slot.index for slot in self.slots if slot.index is not None)

    @property
    def rounds(self) -> list[tuple[int, ...]]:
        """The indices of each round that no crash cut short."""
        rounds = [tuple(group) for _, group in groupby(self.slots, lambda slot: slot.round)]
        return [
            tuple(slot.index for slot in slots if slot.index is not None)
            for slots in rounds
            if not slots[-1].crashed
        ]


@dataclass(frozen=True, slots=True)
class OldState:
    """A row of model_efficacy: so many `right` of `asked`, and the `lengths` of the searches it lists.

    `step`, `pretrained`: None if the name does not say. `data`: where its questions come from.
    """

    row: int
    name: str
    step: int | None
    pretrained: bool | None
    data: str
    right: int
    asked: int
    lengths: tuple[int, ...]
    index_rows: tuple[IndexRow, ...]


def parse_name(name: str) -> tuple[int | None, bool | None, str]:
    """Step, whether pretrained, and data of `Architecture[-NoPretrain]-step-data`."""
    parsed = _NAME.fullmatch(name)
    if not parsed:
        return None, False if "NoPretrain" in name else None, "not known"
    return int(parsed["step"]), not parsed["random"], parsed["data"]


def parse_lengths(value: Any, where: str, notes: list[str]) -> tuple[int, ...]:
    """The lengths of searches in a sample_seq, which may be a number, a list with commas, or nothing."""
    words = _words(value)
    if "" in words:
        notes.append(f"{where}: sample_seq={value!r:.200} has nothing between two commas")
    words = [word for word in words if word != ""]
    bad = [word for word in words if not count_of(word)]
    if bad:
        notes.append(
            f"{where}: sample_seq has {', '.join(map(repr, bad)):.200}, which is not the length of a search"
        )
    return tuple(length for word in words if (length := count_of(word)))


def parse_index_row(row: int, number: Any, ids: Any, notes: list[str]) -> IndexRow | None:
    """A row of sample_indices; None if it has something other than numbers.

    The old lab stored each index of a round of three before it ran the model, with a comma behind it if
    others followed. So a crash at the first or second question left one or two indices and a gap before the
    next round; the index before the gap is the one that crashed. The whole round was counted: seq_num is
    three times the number of rounds. A crash at the third question left no trace.
    """
    # seq_num 9, seq_ids "1,2,3,4,,5,6,7": between the gaps there are 4 and 3 indices, so the second round has
    # only the 4, which crashed. With "1,2,3,4,5,,6,7,8" 4 was answered and 5 crashed. seq_num 9 and
    # "1,2,3,,4,5,6": three rounds, but indices of two, so a round was lost at the gap. seq_num 3, "1,2,3,":
    # nothing was lost, so the gap is only a stray comma. seq_num 9 and "1,2,3" fit in no way, which is odd.
    questions = count_of(number)
    pieces = [[count_of(word) for word in piece] for piece in _between_gaps(_words(ids))]
    indices = [index for piece in pieces for index in piece if index is not None]
    if not questions or any(None in piece for piece in pieces):
        return None
    if len(indices) == questions:
        if len(pieces) > 1:
            notes.append(f"row {row} of sample_indices: seq_ids has an extra comma")
        pieces, lost = [[*indices]], set[int]()
    else:
        lost = _lost_rounds(row, questions, pieces, notes) if indices else set()
    if questions % ROUND:
        # Not asked in rounds of three.
        return IndexRow(row, questions, tuple(Slot(i, place) for place, i in enumerate(indices)))
    slots = _slots(pieces, lost)
    if slots and slots[-1].crashed:
        notes.append(
            f"row {row} of sample_indices ends in a crash, so it is not known how its search ended"
        )
    return IndexRow(row, questions, tuple(slots))


def _lost_rounds(
    row: int, questions: int, pieces: Sequence[Sequence[object]], notes: list[str]
) -> set[int]:
    """The pieces after which a whole round is missing; what does not fit goes to `notes`."""
    lost = questions // ROUND - sum(-(-len(piece) // ROUND) for piece in pieces)
    gaps = [place for place, piece in enumerate(pieces[:-1]) if len(piece) % ROUND == 0]
    # With more gaps than lost rounds, those between indices are the rounds: stray commas come at the ends.
    gaps.sort(key=lambda place: not (any(pieces[: place + 1]) and any(pieces[place + 1 :])))
    found = set(gaps[: max(0, lost)])
    if questions % ROUND or len(found) != lost or len(pieces[-1]) % ROUND:
        number = sum(map(len, pieces))
        notes.append(
            f"row {row} of sample_indices: seq_num says {questions} questions, which {number} indices with "
            f"{len(pieces) - 1} gaps do not explain"
        )
    elif len(found) < len(gaps):
        notes.append(f"row {row} of sample_indices: seq_ids has an extra comma")
    return found


def _slots(pieces: Sequence[Sequence[int | None]], lost: Container[int]) -> list[Slot]:
    """The questions of each piece in rounds, and a crash of which no index was kept after those in `lost`."""
    slots: list[Slot] = []
    number = 0
    for place, piece in enumerate(pieces):
        for start in range(0, len(piece), ROUND):
            asked = piece[start : start + ROUND]
            slots += [Slot(index, number) for index in asked]
            if len(asked) < ROUND and place < len(pieces) - 1:
                slots[-1] = Slot(asked[-1], number, crashed=True)
            number += 1
        if place in lost:
            slots.append(Slot(None, number, crashed=True))
            number += 1
    return slots


def _between_gaps(words: Sequence[Any]) -> list[list[Any]]:
    """The words between gaps, which are empty words: "1,2,,3" has two pieces, of "1,2," the last is empty."""
    pieces: list[list[Any]] = [[]]
    for word in words:
        if word == "":
            pieces.append([])
        else:
            pieces[-1].append(word)
    return pieces


def _words(value: Any) -> list[Any]:
    """What is between the commas; a lone number is one word."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else [value]


@dataclass(frozen=True, slots=True)
class OldLab:
    """All that was read. `sha256`: of the file, and of its write-ahead log if that has the last changes."""

    file: str
    sha256: str
    states: tuple[OldState, ...]
    stacks: OldStacks
    notes: tuple[str, ...]


def read_old_lab(path: Path) -> OldLab:
    """Read a stack_trace.db.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an SQLite database, or not the old lab's.
        OSError: it cannot be read, or changed meanwhile.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}; expected {EXPECTED}")
    if not path.stat().st_size and not log_of(path):
        raise ValueError(f"{path} is empty; expected {EXPECTED}")
    digest = digest_of(path)
    odd = Oddities()
    with opened(path) as connection:
        states = _read_states(connection, path, odd)
        stacks = read_stacks(connection, path, odd)
    if digest_of(path) != digest:
        raise OSError(
            f"{path} changed while it was being read; import it when nothing writes to it"
        )
    return OldLab(path.name, digest, tuple(states), stacks, odd.sentences())


def _read_states(connection: sqlite3.Connection, path: Path, odd: Oddities) -> list[OldState]:
    columns = columns_of(connection, "model_efficacy")
    if not columns and columns_of(connection, SEQUENCES):
        # It began with stacks alone.
        return []
    if not columns:
        raise ValueError(f"{path} is not {EXPECTED}: no table model_efficacy or {SEQUENCES}")
    check_columns(path, "model_efficacy", columns, _STATE_COLUMNS)
    lengths = "sample_seq" if "sample_seq" in columns else "NULL"
    index_rows = _read_index_rows(connection, path, odd)
    states = []
    for row, name, right, asked, seq in rows_in(
        connection, "model_efficacy", (*_STATE_COLUMNS, lengths), odd
    ):
        where = f"row {row} of model_efficacy"
        right_count, asked_count = count_of(right), count_of(asked)
        is_name = isinstance(name, str) and len(name) <= LONGEST_NAME
        if not is_name or right_count is None or asked_count is None:
            odd.notes.append(
                f"{where} was skipped because it has no name or no counts: model_type_state={name!r:.200}, "
                f"correct_num={right!r:.200}, sample_num={asked!r:.200}"
            )
            continue
        odd.count_text("correct_num of model_efficacy", right)
        odd.count_text("sample_num of model_efficacy", asked)
        step, pretrained, data = parse_name(name)
        if step is None:
            odd.notes.append(f"{where}: the name {name!r} does not include a step and data")
        states.append(
            OldState(
                row=row,
                name=name,
                step=step,
                pretrained=pretrained,
                data=data,
                right=right_count,
                asked=asked_count,
                lengths=parse_lengths(seq, where, odd.notes),
                index_rows=_within(data, index_rows.pop(row, []), odd.notes),
            )
        )
    odd.notes += [
        f"skipped {rows_of(len(left))} of sample_indices: there is no state with the id {row}"
        for row, left in index_rows.items()
    ]
    return states


def _read_index_rows(
    connection: sqlite3.Connection, path: Path, odd: Oddities
) -> dict[int, list[IndexRow]]:
    """The rows of sample_indices, in order, by the id of their state. The oldest files have no such table."""
    columns = columns_of(connection, "sample_indices")
    if not columns:
        odd.notes.append(
            "there is no table sample_indices, so it is not known which questions were asked"
        )
        return {}
    check_columns(path, "sample_indices", columns, _INDEX_COLUMNS)
    found: dict[int, list[IndexRow]] = {}
    for row, state, number, ids in rows_in(connection, "sample_indices", _INDEX_COLUMNS, odd):
        state_row = count_of(state)
        indices = parse_index_row(row, number, ids, odd.notes)
        if state_row is None or indices is None:
            text = f"model_efficacy_id={state!r}, seq_num={number!r}, seq_ids={ids!r}"
            odd.notes.append(
                f"row {row} of sample_indices was skipped because it has more than numbers: {text:.200}"
            )
            continue
        odd.count_text("model_efficacy_id of sample_indices", state)
        odd.count_text("seq_num of sample_indices", number)
        found.setdefault(state_row, []).append(indices)
    return found


def _within(data: str, rows: list[IndexRow], notes: list[str]) -> tuple[IndexRow, ...]:
    """The rows whose indices are all questions of `data`; the others go to `notes`."""
    size = KNOWN_SIZES.get(data, math.inf)
    beyond = {row.row: max(row.known, default=0) for row in rows}
    notes += [
        f"row {row} of sample_indices was skipped because the index {index} is beyond the {size:,} questions "
        f"of {data}"
        for row, index in beyond.items()
        if index >= size
    ]
    return tuple(row for row in rows if beyond[row.row] < size)
