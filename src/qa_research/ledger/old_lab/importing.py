"""Takes over the reference system's records: its database -> states, searches and asked questions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qa_research.ledger.asked import AskedQuestion, insert_asked
from qa_research.ledger.old_lab.read import ROUND, Reference, read_reference
from qa_research.ledger.old_lab.searches import (
    KNOWN_SIZES,
    KeptSearch,
    KeptState,
    kept_states,
    sizes_of,
)
from qa_research.ledger.runs import Ledger

LOST = "the reference crashed in this round; which question it was is lost"


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken over. `general`: what was odd in the file, beyond what each state says of itself."""

    file: str
    sha256: str
    states: tuple[KeptState, ...]
    general: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """All that was odd or corrected, as the ledger keeps it."""
        said = [f"{kept.state.name}: {text}" for kept in self.states for text in kept.sentences]
        return [*self.general, *said]


def import_reference(path: Path, ledger_path: Path) -> Imported:
    """Take over a stack_trace.db, in one transaction; it is read and never changed.

    What counts, and why, is told in reference_searches.py. Of the questions only the index is known, of
    the answers nothing: all of them are 'not kept', and the searches say what was counted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not the reference system's, holds nothing, or was taken over before.
        OSError: it cannot be read, or the ledger not be written.
    """
    reference = read_reference(path)
    if not reference.states:
        why = f": {reference.notes[0]}" if reference.notes else ""
        raise ValueError(f"{path} has no record that can be taken over{why}")
    states, shared = kept_states(reference.states)
    sizes = sizes_of(reference.states)
    known = {data: size for data, size in KNOWN_SIZES.items() if sizes.get(data, 0) <= size}
    beyond = [
        f"an index lies beyond the {size:,} questions of {data}: how many it has is not known"
        for data, size in KNOWN_SIZES.items()
        if data not in known
    ]
    # The foreign file was read whole before: one that cannot be used leaves no new ledger behind.
    with Ledger(ledger_path) as ledger, ledger.writing() as connection:
        before = _known_before(connection, path, reference)
        general = (*reference.notes, *shared, *beyond, *before)
        imported = Imported(reference.file, reference.sha256, tuple(states), general)
        row = connection.execute(
            "INSERT INTO imports (file, sha256, imported, notes) VALUES (?, ?, ?, ?)",
            (
                reference.file,
                reference.sha256,
                datetime.now(UTC).isoformat(timespec="seconds"),
                json.dumps(imported.notes, ensure_ascii=False),
            ),
        )
        assert row.lastrowid is not None
        _write(connection, states, known, row.lastrowid)
    return imported


def _known_before(connection: Any, path: Path, reference: Reference) -> list[str]:
    """Notes about states that an earlier import has too; the same file again is refused."""
    again = connection.execute(
        "SELECT file, imported FROM imports WHERE sha256 = ?", (reference.sha256,)
    ).fetchone()
    if again:
        raise ValueError(
            f"{path} was taken over before, as {again['file']} at {again['imported']}; nothing was changed"
        )
    before = connection.execute(
        "SELECT run, file, imported FROM states JOIN imports ON imports.id = import_id"
    ).fetchall()
    names = {state.name for state in reference.states}
    return [
        f"{row['run']} was also taken over from {row['file']} at {row['imported']}: both stand side by "
        "side, and what both files hold is in each"
        for row in before
        if row["run"] in names
    ]


def _write(
    connection: Any, states: Sequence[KeptState], sizes: Mapping[str, int], import_id: int
) -> None:
    sources = {}
    for data in dict.fromkeys(kept.state.data for kept in states):
        row = connection.execute(
            "INSERT INTO sources (name, split, questions) VALUES (?, 'train', ?)",
            (data, sizes.get(data)),
        )
        sources[data] = row.lastrowid
    for kept in states:
        state = kept.state
        row = connection.execute(
            "INSERT INTO states (run, step, pretrained, import_id) VALUES (?, ?, ?, ?)",
            (state.name, state.step, state.pretrained, import_id),
        )
        for draw, search in enumerate(kept.searches):
            # Not 'right' for a sum: its length is that of no search.
            goal, ending = ("questions", "done") if search.is_sum else ("right", "right")
            written = connection.execute(
                "INSERT INTO searches "
                "(state_id, source_id, draw, goal, ending, told_counted, told_right) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(row.lastrowid, sources[state.data], draw, goal, ending),
                    *(search.asked, search.right),
                ),
            )
            insert_asked(connection, written.lastrowid, sources[state.data], _asked(search))


def _asked(search: KeptSearch) -> list[AskedQuestion]:
    """The questions whose index is known, and those that a crash lost."""
    if search.tried is None:
        return []
    # Of its custom data the reference asked one question at once.
    at_once = 1 if search.tried.questions % ROUND else ROUND
    return [
        AskedQuestion(
            place=place,
            round=place // at_once,
            number=index,
            id=None,
            kind=None,
            question=None,
            golds=None,
            status="failed" if index is None else "not kept",
            counted=False,
            reason=LOST if index is None else None,
        )
        for place, index in enumerate(search.tried.slots)
    ]
