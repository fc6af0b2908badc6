"""Imports the old lab's records: its database -> states, searches and asked questions of the ledger."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qa_research.ledger.asked import AskedQuestion, insert_asked
from qa_research.ledger.old_lab.read import ROUND, OldLab, read_old_lab
from qa_research.ledger.old_lab.searches import (
    KNOWN_SIZES,
    KeptSearch,
    KeptState,
    kept_states,
    sizes_of,
)
from qa_research.ledger.runs import Ledger

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
    sizes = sizes_of(old_lab.states)
    known = {data: size for data, size in KNOWN_SIZES.items() if sizes.get(data, 0) <= size}
    beyond = [
        f"an index is beyond the {size:,} questions of {data}, so its size is unknown"
        for data, size in KNOWN_SIZES.items()
        if data not in known
    ]
    # The file has been read completely, so one that cannot be used leaves no new ledger behind.
    with Ledger(ledger_path) as ledger, ledger.writing() as connection:
        again = _imported_before(connection, path, old_lab)
        general = (*old_lab.notes, *shared, *beyond, *again)
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
        _write(connection, states, known, row.lastrowid)
    return imported


def _imported_before(connection: Any, path: Path, old_lab: OldLab) -> list[str]:
    """Notes on states that an earlier import has, too; the same file is refused."""
    same = connection.execute(
        "SELECT file, imported FROM imports WHERE sha256 = ?", (old_lab.sha256,)
    ).fetchone()
    if same:
        raise ValueError(
            f"{path} has already been imported, as {same['file']} at {same['imported']}; nothing was changed"
        )
    earlier = connection.execute(
        "SELECT run, file, imported FROM states JOIN imports ON imports.id = import_id"
    ).fetchall()
    names = {state.name for state in old_lab.states}
    return [
        f"{row['run']} was also imported from {row['file']} at {row['imported']}: both imports are kept, "
        "and what both files contain is in each"
        for row in earlier
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
            # Not 'right' for a sum, which is not the length of a search.
            goal, ending = ("questions", "done") if search.is_sum else ("right", "right")
            written = connection.execute(
                "INSERT INTO searches "
                "(state_id, source_id, draw, goal, ending, told_counted, told_right) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    row.lastrowid,
                    sources[state.data],
                    draw,
                    goal,
                    ending,
                    search.asked,
                    search.right,
                ),
            )
            insert_asked(connection, written.lastrowid, sources[state.data], _asked(search))


def _asked(search: KeptSearch) -> list[AskedQuestion]:
    """The questions whose index is known, and those that a crash lost."""
    if search.indices is None:
        return []
    # The old lab asked the questions of custom data one at a time.
    at_once = 1 if search.indices.questions % ROUND else ROUND
    return [
        AskedQuestion(
            place=place,
            round=place // at_once,
            number=index,
            status="failed" if index is None else "not kept",
            counted=False,
            reason=LOST if index is None else None,
        )
        for place, index in enumerate(search.indices.slots)
    ]
