"""The old lab's database, stack_trace.db, read and never changed: its states, with notes of what was odd.

Its columns have no types, so a number may be text, and a list of numbers anything.
"""

import hashlib
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

# The old lab asked three questions at once.
ROUND = 3
# The training set of SQuAD v1.1: Rajpurkar et al. 2016.
KNOWN_SIZES = {"squad": 87_599}
EXPECTED = "the old lab's stack_trace.db"
_NAME = re.compile(r".+?(?P<random>-NoPretrain)?-(?P<step>\d{1,15})-(?P<data>.+)")
# A number with more digits is not a count, and SQLite could not hold it.
_DIGITS = 15
# The indices of all questions of SQuAD's training split, 87,599, are 0.6 MB as a text.
LONGEST_TEXT, LONGEST_NAME = 4_000_000, 500
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


def count_of(value: Any) -> int | None:
    """A count, whatever it was stored as; None if it is not one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


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
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Oddities:
    """What was odd: sentences, and how many numbers of each column were text."""

    notes: list[str] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)

    def count_text(self, column: str, value: object) -> None:
        if isinstance(value, str):
            self.texts[column] += 1

    def sentences(self) -> tuple[str, ...]:
        converted = (
            f"{column} was text in {_rows(rows)}, and was read as a number"
            for column, rows in self.texts.items()
        )
        return (*self.notes, *converted)


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
    if not path.stat().st_size and not _log_of(path):
        raise ValueError(f"{path} is empty; expected {EXPECTED}")
    digest = _digest(path)
    odd = _Oddities()
    with _opened(path) as connection:
        states = _read_states(connection, path, odd)
    if _digest(path) != digest:
        raise OSError(
            f"{path} changed while it was being read; import it when nothing writes to it"
        )
    return OldLab(path.name, digest, tuple(states), odd.sentences())


def _log_of(path: Path) -> Path | None:
    """The write-ahead log, where a file in WAL mode has its last changes, if there are any."""
    real = path.resolve()
    log = real.with_name(f"{real.name}-wal")
    return log if log.exists() and log.stat().st_size else None


def _digest(path: Path) -> str:
    sha256 = hashlib.sha256()
    for file in (path, _log_of(path)):
        if file is not None:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    sha256.update(block)
    return sha256.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with path.open("rb") as stream:
        is_wal = stream.read(20)[18:] == b"\x02\x02"
    # SQLite would create two files next to one in WAL mode. Without a log the file is complete by itself.
    how = "mode=ro&immutable=1" if is_wal and not _log_of(path) else "mode=ro"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_TEXT)
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            connection.execute("BEGIN")
            yield connection
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise ValueError(
                f"{path} is not an SQLite database, or is damaged; expected {EXPECTED}"
            ) from error
        if getattr(error, "sqlite_errorname", "") == "SQLITE_TOOBIG":
            raise ValueError(
                f"{path} has a text or row of more than {LONGEST_TEXT:,} bytes; expected {EXPECTED}"
            ) from error
        raise OSError(
            f"{path} cannot be read ({error}); copy the files {path.name}* to a folder of your own"
        ) from error


def _read_states(connection: sqlite3.Connection, path: Path, odd: _Oddities) -> list[OldState]:
    columns = _columns(connection, "model_efficacy")
    _check(path, "model_efficacy", columns, _STATE_COLUMNS)
    lengths = "sample_seq" if "sample_seq" in columns else "NULL"
    index_rows = _read_index_rows(connection, path, odd)
    states = []
    for row, name, right, asked, seq in connection.execute(
        f"SELECT {', '.join(_STATE_COLUMNS)}, {lengths} FROM model_efficacy ORDER BY id"
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
        f"skipped {_rows(len(left))} of sample_indices: there is no state with the id {row}"
        for row, left in index_rows.items()
    ]
    return states


def _read_index_rows(
    connection: sqlite3.Connection, path: Path, odd: _Oddities
) -> dict[int, list[IndexRow]]:
    """The rows of sample_indices, in order, by the id of their state. The oldest files have no such table."""
    columns = _columns(connection, "sample_indices")
    if not columns:
        odd.notes.append(
            "there is no table sample_indices, so it is not known which questions were asked"
        )
        return {}
    _check(path, "sample_indices", columns, _INDEX_COLUMNS)
    found: dict[int, list[IndexRow]] = {}
    for row, state, number, ids in connection.execute(
        f"SELECT {', '.join(_INDEX_COLUMNS)} FROM sample_indices ORDER BY id"
    ):
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


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """The names of a table's columns; empty if there is none. A view may be anything, and may never end."""
    is_table = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND lower(name) = ?", (table,)
    ).fetchone()
    if not is_table:
        return set()
    return {row[1].lower() for row in connection.execute(f"PRAGMA table_info({table})")}


def _check(path: Path, table: str, columns: set[str], needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in columns]
    if missing:
        why = f"its table {table} has no {', '.join(missing)}" if columns else f"no table {table}"
        raise ValueError(f"{path} is not {EXPECTED}: {why}")


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
