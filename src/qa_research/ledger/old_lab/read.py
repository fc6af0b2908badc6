"""Single rows of the reference system's tables, whose columns have no types, as numbers. Pure.

The reference system's database, read and never changed: its states, with notes of what was odd.
"""

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The reference asked three questions at once.
ROUND = 3
_NAME = re.compile(r".+?(?P<random>-NoPretrain)?-(?P<step>\d{1,15})-(?P<data>.+)")
# More digits are no count, and beyond what SQLite can hold.
_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Tried:
    """A row of sample_indices: a search of so many `questions`.

    `slots`: the index of each question in the order of asking; None: lost in one of the `crashes`.
    """

    row: int
    questions: int
    slots: tuple[int | None, ...]
    crashes: int

    @property
    def known(self) -> tuple[int, ...]:
        """The indices that were not lost."""
        return tuple(slot for slot in self.slots if slot is not None)


@dataclass(frozen=True, slots=True)
class ReferenceState:
    """A row of model_efficacy: so many `right` of `asked`, and the `lengths` of the searches it lists.

    `step`, `pretrained`: None where the name does not say. `data`: what it was asked from.
    """

    row: int
    name: str
    step: int | None
    pretrained: bool | None
    data: str
    right: int
    asked: int
    lengths: tuple[int, ...]
    tried: tuple[Tried, ...]


def whole(value: Any) -> int | None:
    """A count, whatever it was stored as; None: it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


def name_parts(name: str) -> tuple[int | None, bool | None, str]:
    """Step, whether pretrained, and data of `Architecture[-NoPretrain]-step-data`."""
    parsed = _NAME.fullmatch(name)
    if not parsed:
        return None, False if "NoPretrain" in name else None, "not known"
    return int(parsed["step"]), not parsed["random"], parsed["data"]


def read_lengths(value: Any, where: str, notes: list[str]) -> tuple[int, ...]:
    """The searches of a sample_seq, which may be one number, a list with commas, or nothing."""
    words = _words(value)
    if "" in words:
        notes.append(f"{where}: sample_seq={value!r} has an empty place between its commas")
    words = [word for word in words if word != ""]
    bad = [word for word in words if not whole(word)]
    if bad:
        notes.append(
            f"{where}: sample_seq has {', '.join(map(repr, bad))}, which is no search's length"
        )
    return tuple(length for word in words if (length := whole(word)))


def read_tried(row: int, number: Any, ids: Any, notes: list[str]) -> Tried | None:
    """A row of sample_indices; None: not all of it are numbers.

    A crash left an empty place between commas where three indices are missing, and its three questions
    were counted: seq_num is the number of indices and three for each crash. Of more empty places than
    that says the rest are stray commas.
    """
    questions = whole(number)
    words = _words(ids)
    indices = {place: whole(word) for place, word in enumerate(words) if word != ""}
    if not questions or None in indices.values():
        return None
    if not indices:
        return Tried(row, questions, (), 0)
    gaps = [place for place in range(len(words)) if place not in indices]
    lost, rest = divmod(questions - len(indices), ROUND)
    crashes = max(0, min(lost, len(gaps)))
    if rest or lost != crashes:
        notes.append(
            f"row {row} of sample_indices: seq_num says {questions} questions, where "
            f"{len(indices)} indices and {len(gaps)} gaps of a crash stand"
        )
    elif crashes < len(gaps):
        notes.append(f"row {row} of sample_indices: seq_ids has a comma too many")
    # At its end a search was right, so a stray comma stands at an end rather than between rounds.
    gaps.sort(key=lambda place: not min(indices) < place < max(indices))
    slots: list[int | None] = []
    for place in range(len(words)):
        if place in indices:
            slots.append(indices[place])
        elif place in gaps[:crashes]:
            slots += [None] * ROUND
    return Tried(row, questions, tuple(slots), crashes)


def _words(value: Any) -> list[Any]:
    """What stands between commas; a lone number is one word."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else [value]


EXPECTED = "the reference system's stack_trace.db"
_STATES = ("id", "model_type_state", "correct_num", "sample_num")
_TRIED = ("id", "model_efficacy_id", "seq_num", "seq_ids")


@dataclass(frozen=True, slots=True)
class Reference:
    """All that was read. `sha256`: of the file, and of the log beside it where that has its last changes."""

    file: str
    sha256: str
    states: tuple[ReferenceState, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Odd:
    """What was odd: sentences, and how often a number stood as text, by column."""

    notes: list[str] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)

    def count(self, column: str, value: object) -> None:
        if isinstance(value, str):
            self.texts[column] += 1

    def all(self) -> tuple[str, ...]:
        converted = (
            f"{column} stood as text in {_rows(rows)}, and was read as a number"
            for column, rows in self.texts.items()
        )
        return (*self.notes, *converted)


def read_reference(path: Path) -> Reference:
    """Read a stack_trace.db.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no SQLite database, or not the reference system's.
        OSError: it cannot be read, or changed meanwhile.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}; expected {EXPECTED}")
    digest = _digest(path)
    odd = _Odd()
    with _opened(path) as connection:
        states = _read_states(connection, path, odd)
    if _digest(path) != digest:
        raise OSError(f"{path} changed while it was read; import it when nobody writes it")
    return Reference(path.name, digest, tuple(states), odd.all())


def _log_of(path: Path) -> Path | None:
    """Where a file in WAL mode has its last changes, if there are any."""
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
    # SQLite would make two files beside one in WAL mode; one without a log is whole by itself.
    how = "mode=ro&immutable=1" if is_wal and not _log_of(path) else "mode=ro"
    connection = None
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        connection.execute("BEGIN")
        yield connection
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise ValueError(
                f"{path} is no SQLite database, or a damaged one; expected {EXPECTED}"
            ) from error
        raise OSError(
            f"{path} cannot be read ({error}); copy the files {path.name}* to a place of your own"
        ) from error
    finally:
        if connection is not None:
            connection.close()


def _read_states(connection: sqlite3.Connection, path: Path, odd: _Odd) -> list[ReferenceState]:
    columns = _columns(connection, "model_efficacy")
    _check(path, "model_efficacy", columns, _STATES)
    lengths = "sample_seq" if "sample_seq" in columns else "NULL"
    tried = _read_all_tried(connection, path, odd)
    states = []
    for row, name, right, asked, seq in connection.execute(
        f"SELECT {', '.join(_STATES)}, {lengths} FROM model_efficacy ORDER BY id"
    ):
        where = f"row {row} of model_efficacy"
        right_count, asked_count = whole(right), whole(asked)
        if not isinstance(name, str) or right_count is None or asked_count is None:
            odd.notes.append(
                f"{where} was left out, for it has no name or no counts: model_type_state={name!r}, "
                f"correct_num={right!r}, sample_num={asked!r}"
            )
            continue
        odd.count("correct_num of model_efficacy", right)
        odd.count("sample_num of model_efficacy", asked)
        step, pretrained, data = name_parts(name)
        if step is None:
            odd.notes.append(f"{where}: the name {name!r} does not say step and data")
        states.append(
            ReferenceState(
                row=row,
                name=name,
                step=step,
                pretrained=pretrained,
                data=data,
                right=right_count,
                asked=asked_count,
                lengths=read_lengths(seq, where, odd.notes),
                tried=tuple(tried.pop(row, ())),
            )
        )
    odd.notes += [
        f"{_rows(len(left))} of sample_indices left out: there is no state with the id {row}"
        for row, left in tried.items()
    ]
    return states


def _read_all_tried(
    connection: sqlite3.Connection, path: Path, odd: _Odd
) -> dict[int, list[Tried]]:
    """The rows of sample_indices, in order, by the id of their state. Old files lack that table."""
    columns = _columns(connection, "sample_indices")
    if not columns:
        odd.notes.append("there is no table sample_indices, so no asked question is known")
        return {}
    _check(path, "sample_indices", columns, _TRIED)
    found: dict[int, list[Tried]] = {}
    for row, state, number, ids in connection.execute(
        f"SELECT {', '.join(_TRIED)} FROM sample_indices ORDER BY id"
    ):
        state_row = whole(state)
        tried = read_tried(row, number, ids, odd.notes)
        if state_row is None or tried is None:
            text = f"model_efficacy_id={state!r}, seq_num={number!r}, seq_ids={ids!r}"
            odd.notes.append(
                f"row {row} of sample_indices was left out, for not all of it are numbers: {text:.200}"
            )
            continue
        odd.count("model_efficacy_id of sample_indices", state)
        odd.count("seq_num of sample_indices", number)
        found.setdefault(state_row, []).append(tried)
    return found


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1].lower() for row in connection.execute(f"PRAGMA table_info({table})")}


def _check(path: Path, table: str, columns: set[str], needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in columns]
    if missing:
        lacks = f"the table {table} lacks {', '.join(missing)}" if columns else f"no table {table}"
        raise ValueError(f"{path} is not {EXPECTED}: {lacks}")


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
