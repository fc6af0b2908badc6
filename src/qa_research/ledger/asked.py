"""Asked questions in the ledger: a search is started, written round by round, and ended."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

from qa_research.ledger.runs import Ledger

Goal = Literal["right", "questions", "width"]
Ending = Literal["right", "done", "exhausted", "bound", "stopped", "failed"]
Status = Literal["answered", "failed", "not kept"]
# What a source has, where the ledger does not say: until version 4 there was nothing else.
QUESTIONS = "questions"


@dataclass(frozen=True, slots=True)
class State:
    """A network in one state. `weights`: sha256 of its tensors. Imported: no `run_id` and no `weights`.

    `pretrained`: whether its training started from pretrained weights; None: unknown.
    """

    run_id: str | None
    run: str
    step: int | None
    weights: str | None
    pretrained: bool | None


def state_of(row: Mapping[str, Any] | sqlite3.Row) -> State:
    """The state of a row that has its columns."""
    pretrained = row["pretrained"]
    return State(
        run_id=row["run_id"],
        run=row["run"],
        step=row["step"],
        weights=row["weights"],
        pretrained=None if pretrained is None else bool(pretrained),
    )


@dataclass(frozen=True, slots=True)
class Source:
    """A split that questions are drawn from. `fingerprint`: sha256 of all its questions.

    `examples`: what they are called if they are no questions, such as `pairs`.
    """

    name: str
    split: str
    fingerprint: str | None
    questions: int | None
    examples: str = QUESTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """One asked question: the columns of the table `asked`, and those of the question itself.

    A failed question has None for all that an answer would have. `number` is its index in the split, `golds`
    are all gold answers.
    """

    place: int
    round: int
    number: int | None
    status: Status
    counted: bool
    id: str | None = None
    kind: str | None = None
    question: str | None = None
    golds: tuple[str, ...] | None = None
    reason: str | None = None
    answer: str | None = None
    exact_match: bool | None = None
    f1: float | None = None
    first_gold: bool | None = None
    char_start: int | None = None
    char_end: int | None = None
    score: float | None = None
    probability: float | None = None
    seconds: float | None = None

    @property
    def counts_as_right(self) -> bool:
        """Whether it adds to the right answers of the ratio."""
        return self.counted and bool(self.exact_match)


@dataclass(frozen=True, slots=True)
class Search:
    """A search that has started: its row, which order of its seed it uses, and at which place it starts."""

    id: int
    source_id: int
    draw: int
    first: int


# The fields of AskedQuestion that describe the question; all others are columns of the table `asked`.
_OF_THE_QUESTION = ("id", "kind", "question", "golds")
_COLUMNS = [field.name for field in fields(AskedQuestion) if field.name not in _OF_THE_QUESTION]

# The last search of each order: next to max(), SQLite takes the other columns from the row of the maximum.
_ORDERS = """
SELECT draw, max(first) AS first, ending,
       (SELECT count(*) FROM asked WHERE search_id = searches.id) AS asked
FROM searches WHERE state_id = ? AND source_id = ? AND seed = ? GROUP BY draw ORDER BY draw
"""


def start_search(ledger: Ledger, state: State, source: Source, seed: int, goal: Goal) -> Search:
    """Start a search where the last one of this state and `seed` stopped, or at the start of a new order.

    A new order is needed if none of the earlier ones has a question left, or each that has one also has a
    search that has not ended: another process is working on it, or was killed. So a question is asked twice
    only with another seed, by several processes at once, after a kill, or after an order was used up.
    """
    # A split of 100, an order whose last search began at place 16 and asked 24: the next one starts at
    # place 40, however many it wants. Only when place 99 was asked does one start the next order.
    assert source.questions is not None
    with ledger.writing() as connection:
        state_id = state_row(connection, state)
        source_id = source_row(connection, source)
        orders = connection.execute(_ORDERS, (state_id, source_id, seed)).fetchall()
        draw, first = len(orders), 0
        for order in orders:
            begin = order["first"] + order["asked"]
            if order["ending"] is not None and begin < source.questions:
                draw, first = order["draw"], begin
                break
        started = datetime.now(UTC).isoformat(timespec="seconds")
        # A search that ended before its first round is at this place already, and holds nothing.
        row = connection.execute(
            "INSERT INTO searches (state_id, source_id, seed, draw, first, goal, started) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (state_id, source_id, seed, draw, first) "
            "DO UPDATE SET goal = excluded.goal, started = excluded.started, ending = NULL RETURNING id",
            (state_id, source_id, seed, draw, first, goal, started),
        ).fetchone()
        return Search(row["id"], source_id, draw, first)


def write_round(
    ledger: Ledger, search: Search, rows: Sequence[AskedQuestion], ending: Ending | None
) -> None:
    """Write one round, and how the search ended (None: it continues), in one transaction."""
    with ledger.writing() as connection:
        insert_asked(connection, search.id, search.source_id, rows)
        connection.execute("UPDATE searches SET ending = ? WHERE id = ?", (ending, search.id))


def counted_answers(ledger: Ledger, state: State, source: Source) -> dict[int, bool]:
    """The questions that count for a state, by number, and whether they were answered correctly."""
    with ledger.reading() as connection:
        rows = connection.execute(
            "SELECT number, exact_match FROM known_answers WHERE counted "
            "AND state_id = (SELECT id FROM states WHERE run_id = ? AND step IS ? AND weights = ?) "
            "AND source_id = (SELECT id FROM sources WHERE name = ? AND split = ? AND fingerprint = ?)",
            (
                state.run_id,
                state.step,
                state.weights,
                source.name,
                source.split,
                source.fingerprint,
            ),
        )
        return {row["number"]: bool(row["exact_match"]) for row in rows}


def examples_column(connection: Any) -> str:
    """The column of `sources` with what its examples are called, or what stands for it in older ledgers."""
    known = {row["name"] for row in connection.execute("PRAGMA table_info(sources)")}
    return "sources.examples" if "examples" in known else f"'{QUESTIONS}' AS examples"


def end_search(ledger: Ledger, search: Search, ending: Ending) -> None:
    """Record that a search ended between two rounds."""
    with ledger.writing() as connection:
        connection.execute("UPDATE searches SET ending = ? WHERE id = ?", (ending, search.id))


def insert_asked(
    connection: Any, search_id: int, source_id: int, rows: Sequence[AskedQuestion]
) -> None:
    """Insert questions and their answers, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (source_id, row.number, row.id, row.kind, row.question, _as_json(row.golds))
            for row in rows
            if row.number is not None
        ],
    )
    values = ", ".join("?" * (len(_COLUMNS) + 2))
    connection.executemany(
        f"INSERT INTO asked (search_id, source_id, {', '.join(_COLUMNS)}) VALUES ({values})",
        [(search_id, source_id, *(getattr(row, name) for name in _COLUMNS)) for row in rows],
    )


def _as_json(golds: tuple[str, ...] | None) -> str | None:
    return None if golds is None else json.dumps(golds, ensure_ascii=False)


def state_row(connection: Any, state: State) -> int:
    """The id of a state, which is inserted if it is not there."""
    key = {"run_id": state.run_id, "step": state.step, "weights": state.weights}
    state_id = _find_or_insert(
        connection, "states", key, run=state.run, pretrained=state.pretrained
    )
    # The directory may have been renamed in the meantime.
    connection.execute("UPDATE states SET run = ? WHERE id = ?", (state.run, state_id))
    return state_id


def source_row(connection: Any, source: Source) -> int:
    """The id of a source, which is inserted if it is not there."""
    key = {"name": source.name, "split": source.split, "fingerprint": source.fingerprint}
    return _find_or_insert(
        connection, "sources", key, questions=source.questions, examples=source.examples
    )


def _find_or_insert(connection: Any, table: str, key: dict[str, Any], **others: Any) -> int:
    """The id of the row with this key, which is inserted with `others` if there is none."""
    where = " AND ".join(f"{name} IS :{name}" for name in key)
    if found := connection.execute(f"SELECT id FROM {table} WHERE {where}", key).fetchone():
        return int(found["id"])
    row = key | others
    names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    inserted = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", row)
    return int(inserted.lastrowid)
