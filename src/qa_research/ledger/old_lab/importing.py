"""Imports the old lab's records: its database -> states, searches, questions and stacks of the ledger."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Any

from qa_research.files import parse_json
from qa_research.ledger.asked import AskedQuestion, insert_asked
from qa_research.ledger.old_lab.read import KNOWN_SIZES, read_old_lab
from qa_research.ledger.old_lab.searches import KeptSearch, KeptState, kept_states
from qa_research.ledger.old_lab.stacks import OldStacks
from qa_research.ledger.runs import Ledger
from qa_research.ledger.stacks import StackRows, caveat_of

CRASHED = "the old lab crashed on this question, and counted its whole round as wrong"
LOST = "the old lab crashed in this round, and did not keep which question it was"


@dataclass(frozen=True, slots=True)
class Imported:
    """What was imported. `general`: what was odd in the file, beyond what each state says of itself.

    `states` or `stacks` that an earlier import of the file has already brought in are not among it.
    """

    file: str
    sha256: str
    states: tuple[KeptState, ...]
    stacks: OldStacks
    general: tuple[str, ...]

    @property
    def caveat(self) -> str | None:
        """What must be known of the stacks; None if there are none."""
        return caveat_of(self.stacks.facts) if self.stacks.sequences else None

    @property
    def notes(self) -> list[str]:
        """All that was odd or corrected, as the ledger keeps it."""
        of_states = [
            f"{kept.state.name}: {text}" for kept in self.states for text in kept.sentences
        ]
        of_stacks = [f"stacks: {self.caveat}"] if self.caveat else []
        return [*self.general, *of_states, *of_stacks]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "states": [kept.as_json() for kept in self.states],
            "stacks": {**self.stacks.as_json(), "caveat": self.caveat},
            "notes": self.notes,
        }


def import_old_lab(path: Path, ledger_path: Path) -> Imported:
    """Import a stack_trace.db in one transaction; it is read and never changed.

    What counts, and why, is explained in searches.py. Of the questions only the index is known, of the
    answers nothing: all of them are 'not kept', and the searches say what was counted. Its stacks become one
    recording, without times.

    An import of the same file by version 0.2, which counted otherwise, is replaced; one from before stacks
    were known gets them in addition.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not the old lab's, has no records, or has already been imported.
        OSError: it cannot be read, or the ledger cannot be written.
    """
    old_lab = read_old_lab(path)
    if not old_lab.states and not old_lab.stacks.sequences:
        why = f": {old_lab.notes[0]}" if old_lab.notes else ""
        raise ValueError(f"{path} has no records that can be imported{why}")
    states, shared = kept_states(old_lab.states)
    whole = Imported(
        old_lab.file, old_lab.sha256, tuple(states), old_lab.stacks, (*old_lab.notes, *shared)
    )
    # The file has been read completely, so one that cannot be used leaves no new ledger behind.
    with Ledger(ledger_path) as ledger, ledger.writing() as connection:
        imported, import_id = _without_known(connection, path, whole)
        again = _other_imports(connection, imported, import_id)
        imported = replace(imported, general=(*imported.general, *again))
        import_id = _write_import(connection, imported, import_id)
        _write_states(connection, imported.states, import_id)
        if imported.stacks.sequences:
            _write_stacks(connection, imported, import_id)
    return imported


def _without_known(connection: Any, path: Path, found: Imported) -> tuple[Imported, int | None]:
    """What an earlier import of the same file lacks, and the number of that import, if there is one.

    Raises:
        ValueError: it lacks nothing.
    """
    same = connection.execute(
        "SELECT id, file, imported FROM imports WHERE sha256 = ?", (found.sha256,)
    ).fetchone()
    if same is None:
        return found, None
    had = f"the import of {same['imported']}"
    # Version 0.2 kept no rows.
    is_of_version_0_2 = connection.execute(
        "SELECT 1 FROM states WHERE import_id = ? GROUP BY import_id HAVING count(told_row) = 0",
        (same["id"],),
    ).fetchone()
    if is_of_version_0_2:
        _forget(connection, same["id"])
        note = (
            f"replaces {had} by version 0.2, which counted crashes, and rounds with several right answers, "
            "otherwise"
        )
        return replace(found, general=(*found.general, note)), None
    has_stacks = connection.execute(
        "SELECT 1 FROM stack_recordings WHERE import_id = ?", (same["id"],)
    ).fetchone()
    if has_stacks or not found.stacks.sequences:
        raise ValueError(
            f"{path} has already been imported, as {same['file']} at {same['imported']}; nothing was changed"
        )
    note = f"adds stacks to {had}, which did not read them; what it has stays as it is"
    return replace(found, states=(), general=(*found.general, note)), same["id"]


def _other_imports(connection: Any, imported: Imported, import_id: int | None) -> list[str]:
    """Notes on states and stacks that were imported from other files."""
    earlier = connection.execute(
        "SELECT states.run, file, imported FROM states JOIN imports ON imports.id = import_id"
    ).fetchall()
    names = {kept.state.name for kept in imported.states}
    found = [(row["run"], row) for row in earlier if row["run"] in names]
    if imported.stacks.sequences:
        recordings = connection.execute(
            "SELECT file, imported FROM stack_recordings JOIN imports ON imports.id = import_id "
            "WHERE import_id IS NOT ?",
            (import_id,),
        ).fetchall()
        found += [("stacks", row) for row in recordings]
    return [
        f"{what} {'were' if what == 'stacks' else 'was'} also imported from {row['file']} at "
        f"{row['imported']}: both imports are kept, and what both files contain is in each"
        for what, row in found
    ]


def _write_import(connection: Any, imported: Imported, import_id: int | None) -> int:
    """A row for the import, or, if it adds to the one with this number, its notes; the number."""
    if import_id is not None:
        row = connection.execute("SELECT notes FROM imports WHERE id = ?", (import_id,)).fetchone()
        earlier = parse_json(row["notes"], "notes of an import")
        # Of the whole file, most are there already.
        notes = [*earlier, *(note for note in imported.notes if note not in earlier)]
        connection.execute(
            "UPDATE imports SET notes = ? WHERE id = ?",
            (json.dumps(notes, ensure_ascii=False), import_id),
        )
        return import_id
    row = connection.execute(
        "INSERT INTO imports (file, sha256, imported, notes) VALUES (?, ?, ?, ?)",
        (
            imported.file,
            imported.sha256,
            datetime.now(UTC).isoformat(timespec="seconds"),
            json.dumps(imported.notes, ensure_ascii=False),
        ),
    )
    assert row.lastrowid is not None
    return int(row.lastrowid)


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


def _write_states(connection: Any, states: Sequence[KeptState], import_id: int) -> None:
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


def _write_stacks(connection: Any, imported: Imported, import_id: int) -> None:
    """One recording: a row for each sample, in the order of call_sequence, as their own is not known."""
    recording = connection.execute(
        "INSERT INTO stack_recordings (run, rank, command, facts, import_id) VALUES (?, 0, '[]', ?, ?)",
        (imported.file, json.dumps(imported.stacks.facts), import_id),
    ).lastrowid
    rows = StackRows(connection)
    places = count()
    for sequence in imported.stacks.sequences:
        stack = rows.id_of(sequence.stack)
        connection.executemany(
            "INSERT INTO stack_samples (recording_id, place, phase, stack_id, is_cut, training_function) "
            "VALUES (?, ?, 'unknown', ?, 0, ?)",
            (
                (recording, place, stack, sequence.training_function)
                for place in islice(places, sequence.tally)
            ),
        )


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
