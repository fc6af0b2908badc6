"""Imports the old lab's records: its database -> states, searches and asked questions of the ledger."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qa_research.ledger.asked import AskedQuestion, insert_asked
from qa_research.ledger.old_lab.read import KNOWN_SIZES, OldLab, read_old_lab
from qa_research.ledger.old_lab.searches import (
    KeptSearch,
    KeptState,
    kept_states,
)
from qa_research.ledger.runs import Ledger

CRASHED = "the old lab crashed on this question, and counted its whole round as wrong"
LOST = "the old lab crashed in this round, and did not keep which question it was"


@dataclass(frozen=True, slots=True)
class Imported:
    """What was imported. `general`: what was odd in the file, beyond what each state says of itself."""

    file: str
    sha256: str
    states: tuple[KeptState, ...]
    general: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """All that was odd or corrected, as the ledger keeps it."""
        of_states = [
            f"{kept.state.name}: {text}" for kept in self.states for text in kept.sentences
        ]
        return [*self.general, *of_states]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "states": [kept.as_json() for kept in self.states],
            "notes": self.notes,
        }


def import_old_lab(path: Path, ledger_path: Path) -> Imported:
    """Import a stack_trace.db in one transaction; it is read and never changed.

    What counts, and why, is explained in searches.py. Of the questions only the index is known, of the
    answers nothing: all of them are 'not kept', and the searches say what was counted.

    An import of the same file by version 0.2, which counted otherwise, is replaced.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not the old lab's, has no records, or has already been imported.
        OSError: it cannot be read, or the ledger cannot be written.
    """
    old_lab = read_old_lab(path)
    if not old_lab.states:
        why = f": {old_lab.notes[0]}" if old_lab.notes else ""
        raise ValueError(f"{path} has no records that can be imported{why}")
    states, shared = kept_states(old_lab.states)
    # The file has been read completely, so one that cannot be used leaves no new ledger behind.
    with Ledger(ledger_path) as ledger, ledger.writing() as connection:
        again = _imported_before(connection, path, old_lab)
        general = (*old_lab.notes, *shared, *again)
        imported = Imported(old_lab.file, old_lab.sha256, tuple(states), general)
        row = connection.execute(
            "INSERT INTO imports (file, sha256, imported, notes) VALUES (?, ?, ?, ?)",
            (
                old_lab.file,
                old_lab.sha256,
                datetime.now(UTC).isoformat(timespec="seconds"),
                json.dumps(imported.notes, ensure_ascii=False),
            ),
        )
        assert row.lastrowid is not None
        _write(connection, states, row.lastrowid)
    return imported


def _imported_before(connection: Any, path: Path, old_lab: OldLab) -> list[str]:
    """Notes on earlier imports; one of the same file is refused, or replaced if version 0.2 made it."""
    again = []
    same = connection.execute(
        "SELECT id, file, imported FROM imports WHERE sha256 = ?", (old_lab.sha256,)
    ).fetchone()
    if same:
        # Version 0.2 kept no rows.
        has_rows = connection.execute(
            "SELECT 1 FROM states WHERE import_id = ? AND told_row IS NOT NULL", (same["id"],)
        ).fetchone()
        if has_rows:
            raise ValueError(
                f"{path} has already been imported, as {same['file']} at {same['imported']}; nothing was "
                "changed"
            )
        _forget(connection, same["id"])
        again.append(
            f"replaces the import of {same['imported']} by version 0.2, which counted crashes, and rounds "
            "with several right answers, otherwise"
        )
    earlier = connection.execute(
        "SELECT run, file, imported FROM states JOIN imports ON imports.id = import_id"
    ).fetchall()
    names = {state.name for state in old_lab.states}
    return again + [
        f"{row['run']} was also imported from {row['file']} at {row['imported']}: both imports are kept, "
        "and what both files contain is in each"
        for row in earlier
        if row["run"] in names
    ]


def _forget(connection: Any, import_id: int) -> None:
    """Remove an import with its states, searches and questions, and the sources that only it had."""
    sources = connection.execute(
        "SELECT DISTINCT source_id FROM searches JOIN states ON states.id = state_id "
        "WHERE import_id = ?",
        (import_id,),
    ).fetchall()
    connection.execute("DELETE FROM imports WHERE id = ?", (import_id,))
    connection.executemany(
        "DELETE FROM sources WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM searches WHERE source_id = ?1)",
        [(row["source_id"],) for row in sources],
    )


def _write(connection: Any, states: Sequence[KeptState], import_id: int) -> None:
    sources = {}
    for data in dict.fromkeys(kept.state.data for kept in states):
        row = connection.execute(
            "INSERT INTO sources (name, split, questions) VALUES (?, 'train', ?)",
            (data, KNOWN_SIZES.get(data)),
        )
        sources[data] = row.lastrowid
    for kept in states:
        state = kept.state
        row = connection.execute(
            "INSERT INTO states (run, step, pretrained, import_id, told_row) VALUES (?, ?, ?, ?, ?)",
            (state.name, state.step, state.pretrained, import_id, state.row),
        )
        for draw, search in enumerate(kept.searches):
            # Not 'right' for a sum, which is not the length of a search.
            goal, ending = ("questions", "done") if search.is_sum else ("right", "right")
            written = connection.execute(
                "INSERT INTO searches "
                "(state_id, source_id, draw, goal, ending, told_counted, told_right, told_row) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.lastrowid,
                    sources[state.data],
                    draw,
                    goal,
                    ending,
                    search.asked,
                    search.right,
                    search.indices.row if search.indices else None,
                ),
            )
            insert_asked(connection, written.lastrowid, sources[state.data], _asked(search))


def _asked(search: KeptSearch) -> list[AskedQuestion]:
    """The questions whose index is known, and those on which the old lab crashed."""
    return [
        AskedQuestion(
            place=place,
            round=slot.round,
            number=slot.index,
            status="failed" if slot.crashed else "not kept",
            counted=False,
            reason=(LOST if slot.index is None else CRASHED) if slot.crashed else None,
        )
        for place, slot in enumerate(search.indices.slots if search.indices else ())
    ]
