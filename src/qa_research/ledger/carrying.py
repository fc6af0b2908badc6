"""What a run was asked, taken out of one ledger and put into another."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from qa_research.config import first_fault
from qa_research.files import parse_json
from qa_research.ledger.asked import (
    AskedQuestion,
    Ending,
    Goal,
    Source,
    State,
    examples_column,
    insert_asked,
    source_row,
    state_of,
    state_row,
)
from qa_research.ledger.runs import Ledger
from qa_research.plain import check_plain


@with_config(ConfigDict(strict=True, allow_inf_nan=False))
@dataclass(frozen=True)
class CarriedSearch:
    """A search, with what it is called by in every ledger, and all that was asked."""

    state: State
    source: Source
    seed: int
    draw: int
    first: int
    goal: Goal
    started: str | None
    ending: Ending | None
    asked: tuple[AskedQuestion, ...]


_SEARCHES: TypeAdapter[list[CarriedSearch]] = TypeAdapter(list[CarriedSearch])
_SEARCHES_OF_RUN = """
SELECT searches.*, states.run_id, states.run, states.step, states.weights, states.pretrained,
       sources.name, sources.split, sources.fingerprint, sources.questions, {examples}
FROM searches JOIN states ON states.id = state_id JOIN sources ON sources.id = source_id
WHERE run_id = ? ORDER BY states.step, states.weights, name, split, fingerprint, seed, draw, first
"""
_ASKED = """
SELECT asked.*, questions.id, kind, question, golds FROM asked
LEFT JOIN questions ON questions.source_id = asked.source_id AND questions.number = asked.number
WHERE search_id = ? ORDER BY place
"""
_TRUTHS = ("counted", "exact_match", "first_gold")


def carried(ledger: Ledger, run_id: str) -> list[CarriedSearch]:
    """All searches of a run, in an order that does not depend on the ledger."""
    with ledger.reading() as connection:
        # Version 1 had no such tables.
        known = "SELECT 1 FROM sqlite_master WHERE name = 'searches'"
        if connection.execute(known).fetchone() is None:
            return []
        query = _SEARCHES_OF_RUN.format(examples=examples_column(connection))
        found = connection.execute(query, (run_id,)).fetchall()
        return [_search(row, connection.execute(_ASKED, (row["id"],)).fetchall()) for row in found]


def carried_json(searches: Sequence[CarriedSearch]) -> bytes:
    """Searches as JSON, as `read_carried` reads them."""
    return _SEARCHES.dump_json(list(searches), indent=1)


def read_carried(content: bytes, name: str, run_id: str) -> list[CarriedSearch]:
    """The searches in a JSON text; `name` begins the error.

    Raises:
        ValueError: it is not that, or something was asked of another run than `run_id`.
    """
    found = parse_json(content, name)
    check_plain(found, name)
    try:
        searches = _SEARCHES.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{name} {first_fault(error)}") from error
    for search in searches:
        if search.state.run_id != run_id:
            raise ValueError(
                f"{name} has what another run was asked: {search.state.run_id!r:.60}, not {run_id}"
            )
    return searches


def add_carried(ledger: Ledger, searches: Sequence[CarriedSearch], run: str, name: str) -> int:
    """Write the searches that the ledger does not have yet, of the run that is called `run` there.

    `name` begins the error. All or nothing; how many were new.

    Raises:
        ValueError: they contradict themselves.
    """
    try:
        with ledger.writing() as connection:
            return sum(_added(connection, search, run) for search in searches)
    except sqlite3.IntegrityError as error:
        raise ValueError(f"{name} does not fit a ledger: {error}") from error


def _added(connection: sqlite3.Connection, search: CarriedSearch, run: str) -> bool:
    state = State(**_values(search.state) | {"run": run})
    key = (
        state_row(connection, state),
        source_row(connection, search.source),
        search.seed,
        search.draw,
        search.first,
    )
    inserted = connection.execute(
        "INSERT INTO searches (state_id, source_id, seed, draw, first, goal, started, ending) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
        (*key, search.goal, search.started, search.ending),
    ).fetchone()
    if inserted is not None:
        insert_asked(connection, inserted["id"], key[1], search.asked)
    return inserted is not None


def _search(row: sqlite3.Row, asked: Sequence[sqlite3.Row]) -> CarriedSearch:
    source = Source(
        row["name"], row["split"], row["fingerprint"], row["questions"], row["examples"]
    )
    own = {name: row[name] for name in ("seed", "draw", "first", "goal", "started", "ending")}
    return CarriedSearch(state_of(row), source, **own, asked=tuple(map(_asked, asked)))


def _asked(row: sqlite3.Row) -> AskedQuestion:
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(AskedQuestion)}
    values |= {name: None if row[name] is None else bool(row[name]) for name in _TRUTHS}
    golds = row["golds"]
    return AskedQuestion(
        **values
        | {
            "golds": None
            if golds is None
            else tuple(parse_json(golds, "the ledger's gold answers"))
        }
    )


def _values(state: State) -> dict[str, Any]:
    return {field.name: getattr(state, field.name) for field in fields(state)}
