"""Asked questions, as the ledger takes them: a search is begun, written round by round, and ended."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from qa_research.ledger.runs import Ledger

Goal = Literal["right", "questions", "width"]
Ending = Literal["right", "done", "exhausted", "bound", "stopped", "failed"]
Status = Literal["answered", "failed", "not kept"]


@dataclass(frozen=True, slots=True)
class State:
    """A network in one state. `weights`: sha256 of its tensors. Imported ones have no `run_id`, no weights.

    `pretrained`: whether its training began from pretrained weights; None: not known.
    """

    run_id: str | None
    run: str
    step: int | None
    weights: str | None
    pretrained: bool | None


@dataclass(frozen=True, slots=True)
class Source:
    """A split that questions are drawn from. `fingerprint`: sha256 of all its questions."""

    name: str
    split: str
    fingerprint: str | None
    questions: int | None


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """One asked question; the columns of the table `asked`, and what it was.

    What a failed one lacks is None. `number` is its index in the split, `golds` all gold answers.
    """

    place: int
    round: int
    number: int | None
    id: str | None
    kind: str | None
    question: str | None
    golds: tuple[str, ...] | None
    status: Status
    counted: bool
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
    """A search that has begun: its row, which order of its seed it asks in, and from which place on."""

    id: int
    source_id: int
    draw: int
    first: int


_ASKED = (
    *("place", "round", "number", "status", "reason", "counted", "answer", "exact_match", "f1"),
    *("first_gold", "char_start", "char_end", "score", "probability", "seconds"),
)

# The last search in each order: max() makes SQLite take all columns from its row.
_ORDERS = """
SELECT draw, max(first) AS first, ending,
       (SELECT count(*) FROM asked WHERE search_id = searches.id) AS asked
FROM searches WHERE state_id = ? AND source_id = ? AND seed = ? GROUP BY draw ORDER BY draw
"""


def start_search(
    ledger: Ledger, state: State, source: Source, seed: int, goal: Goal, wanted: int
) -> Search:
    """Begin a search where this state was asked with `seed` before, or with the next order of it.

    The next order is begun where no earlier one has `wanted` questions left, or a search in each has
    not ended: another process is at it, or was killed. So a question is asked twice only by another
    seed, by several processes at once, or where the next order had to be begun.
    """
    assert source.questions is not None
    with ledger.writing() as connection:
        state_id = _state(connection, state)
        source_id = _source(connection, source)
        orders = connection.execute(_ORDERS, (state_id, source_id, seed)).fetchall()
        draw, first = len(orders), 0
        for order in orders:
            begin = order["first"] + order["asked"]
            if order["ending"] is not None and source.questions - begin >= wanted:
                draw, first = order["draw"], begin
                break
        started = datetime.now(UTC).isoformat(timespec="seconds")
        row = connection.execute(
            "INSERT INTO searches (state_id, source_id, seed, draw, first, goal, started) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (state_id, source_id, seed, draw, first, goal, started),
        )
        assert row.lastrowid is not None
        return Search(row.lastrowid, source_id, draw, first)


def write_round(
    ledger: Ledger, search: Search, rows: Sequence[AskedQuestion], ending: Ending | None
) -> None:
    """Write one round, and how the search ended if it did, in one transaction."""
    with ledger.writing() as connection:
        insert_asked(connection, search.id, search.source_id, rows)
        connection.execute("UPDATE searches SET ending = ? WHERE id = ?", (ending, search.id))


def counted_answers(ledger: Ledger, state: State, source: Source) -> dict[int, bool]:
    """Which questions count for a state, by number, and whether they were answered right."""
    with ledger.reading() as connection:
        rows = connection.execute(
            "SELECT number, exact_match FROM known_answers WHERE counted "
            "AND state_id = (SELECT id FROM states WHERE run_id = ? AND step IS ? AND weights = ?) "
            "AND source_id = (SELECT id FROM sources WHERE name = ? AND split = ? AND fingerprint = ?)",
            (
                *(state.run_id, state.step, state.weights),
                *(source.name, source.split, source.fingerprint),
            ),
        )
        return {row["number"]: bool(row["exact_match"]) for row in rows}


def end_search(ledger: Ledger, search: Search, ending: Ending) -> None:
    """Say that a search ended between two rounds."""
    with ledger.writing() as connection:
        connection.execute("UPDATE searches SET ending = ? WHERE id = ?", (ending, search.id))


def insert_asked(
    connection: Any, search_id: int, source_id: int, rows: Sequence[AskedQuestion]
) -> None:
    """Insert questions and what was answered, within a transaction of the caller's."""
    connection.executemany(
        "INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (source_id, row.number, row.id, row.kind, row.question, _as_json(row.golds))
            for row in rows
            if row.number is not None
        ],
    )
    places = ", ".join("?" * (len(_ASKED) + 2))
    connection.executemany(
        f"INSERT INTO asked (search_id, source_id, {', '.join(_ASKED)}) VALUES ({places})",
        [(search_id, source_id, *(getattr(row, name) for name in _ASKED)) for row in rows],
    )


def _as_json(golds: tuple[str, ...] | None) -> str | None:
    return None if golds is None else json.dumps(golds, ensure_ascii=False)


def _state(connection: Any, state: State) -> int:
    found = connection.execute(
        "SELECT id FROM states WHERE run_id = ? AND step IS ? AND weights = ?",
        (state.run_id, state.step, state.weights),
    ).fetchone()
    if found:
        # The directory may have been renamed since.
        connection.execute("UPDATE states SET run = ? WHERE id = ?", (state.run, found["id"]))
        return int(found["id"])
    row = connection.execute(
        "INSERT INTO states (run_id, run, step, weights, pretrained) VALUES (?, ?, ?, ?, ?)",
        (state.run_id, state.run, state.step, state.weights, state.pretrained),
    )
    return int(row.lastrowid)


def _source(connection: Any, source: Source) -> int:
    found = connection.execute(
        "SELECT id FROM sources WHERE name = ? AND split = ? AND fingerprint = ?",
        (source.name, source.split, source.fingerprint),
    ).fetchone()
    if found:
        return int(found["id"])
    row = connection.execute(
        "INSERT INTO sources (name, split, fingerprint, questions) VALUES (?, ?, ?, ?)",
        (source.name, source.split, source.fingerprint, source.questions),
    )
    return int(row.lastrowid)
