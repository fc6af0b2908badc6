"""The questions of one source by index, by id and by text, from a file that is made once.

Its first opening reads the source and keeps a catalogue in the cache; later ones read no more than what
is asked for.
"""

import difflib
import json
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from qa_research.data import catalogue_file
from qa_research.data.named_source import NamedSource
from qa_research.data.question import Gold, Question
from qa_research.data.searching import PLACES, fold

log = logging.getLogger(__name__)
IDS_COMPARED = 500
_HAS = {
    "question": "instr(question, :text)",
    "context": "context IN (SELECT number FROM folded_contexts WHERE instr(text, :text))",
    "answer": "instr(answers, :text)",
}
_COLUMNS = "questions.position, id, title, contexts.text, question, answers, kind"
_ROWS = f"SELECT {_COLUMNS} FROM questions JOIN contexts ON contexts.number = questions.context"


class Catalogue:
    """The questions of `source`, numbered from 0; close it, or use it in a `with`.

    The file lies in `cache`. Where that cannot be written all stays in memory; where the file turns
    out to be damaged it is made again. Both are said on the log.

    Raises:
        ValueError, OSError: what reading the source raises; it has no questions.
    """

    def __init__(self, source: NamedSource, cache: Path) -> None:
        self.source = source
        self.path = catalogue_file.path_of(source, cache.expanduser())
        self._in_memory = False
        self._connection = self._opened()

    def __enter__(self) -> "Catalogue":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing can be asked any more."""
        self._connection.close()

    def __len__(self) -> int:
        return int(self._rows("SELECT questions FROM source")[0][0])

    @property
    def has_unanswerable(self) -> bool:
        """Whether a question has no answer (SQuAD v2.0)."""
        return bool(self._rows("SELECT unanswerable FROM source")[0][0])

    def question(self, index: int) -> Question:
        """The question at an index.

        Raises:
            ValueError: there is none; the message names the range.
        """
        found = self.at([index])
        if not found:
            raise ValueError(
                f"there is no question {index}: {self.source.spelled} has the indices 0 to "
                f"{len(self) - 1}"
            )
        return found[0]

    def at(self, indices: Sequence[int]) -> list[Question]:
        """The questions at these indices, in their order; an index without a question is left out."""
        wanted = json.dumps([index for index in indices if abs(index) < 2**63])
        where = "WHERE questions.position IN (SELECT value FROM json_each(?))"
        rows = dict(self._questions(f"{_ROWS} {where}", (wanted,)))
        return [rows[index] for index in indices if index in rows]

    def all(self) -> list[Question]:
        """All questions, in order."""
        return [row for _, row in self._questions(f"{_ROWS} ORDER BY questions.position")]

    def indices_of(self, identity: str) -> list[int]:
        """Where the questions of this id stand: as a rule one.

        Raises:
            ValueError: none has it; the message offers the nearest ids.
        """
        rows = self._rows(
            "SELECT position FROM questions WHERE id = ? ORDER BY position", (identity,)
        )
        if not rows:
            near = self._near_ids(identity)
            offer = f"; the nearest: {', '.join(near)}" if near else ""
            raise ValueError(f"no question of {self.source.name} has the id {identity!r}{offer}")
        return [index for (index,) in rows]

    def search(self, text: str, place: str | None = None) -> list[int]:
        """The indices of all questions that hold `text`, whatever the case, in order.

        `place` is one of PLACES (question, context, answer), or None for all three.

        Raises:
            ValueError: the text is empty.
        """
        if not text.strip():
            raise ValueError("the text to search for is empty")
        has = " OR ".join(_HAS[name] for name in PLACES if place in (None, name))
        query = f"SELECT position FROM folded_questions WHERE {has} ORDER BY position"
        return [index for (index,) in self._rows(query, {"text": fold(text)})]

    def _near_ids(self, identity: str) -> list[str]:
        """Up to three ids that are nearly this one: of those that begin or end as it does."""
        near: dict[str, None] = {}
        for length in range(len(identity), 0, -1):
            begin = identity[:length]
            query = "SELECT id FROM questions WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
            bounds = (begin, begin[:-1] + chr(min(ord(begin[-1]) + 1, 0x10FFFF)), IDS_COMPARED)
            near.update(dict.fromkeys(found for (found,) in self._rows(query, bounds)))
            if len(near) >= IDS_COMPARED // 2:
                break
        end = identity[len(identity) // 2 :]
        query = "SELECT id FROM questions WHERE instr(lower(id), lower(?)) LIMIT ?"
        near.update(dict.fromkeys(found for (found,) in self._rows(query, (end, IDS_COMPARED))))
        by_folded = {fold(found): found for found in near}
        close = difflib.get_close_matches(fold(identity), by_folded, n=3, cutoff=0.6)
        return [by_folded[found] for found in close]

    def _questions(self, query: str, values: Any = ()) -> Iterable[tuple[int, Question]]:
        texts: dict[str, str] = {}  # one object a context, as in the sources
        for index, identity, title, context, question, answers, kind in self._rows(query, values):
            context = texts.setdefault(context, context)
            golds = tuple(Gold(text, start) for text, start in json.loads(answers))
            yield index, Question(identity, title, context, question, golds, kind)

    def _rows(self, query: str, values: Any = ()) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            if self._in_memory:
                raise
            self._connection.close()
            self._connection = self._made_again(error)
            return self._connection.execute(query, values).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if not self.path.exists():
            log.info("Reading %s", self.source.name)
            return self._made()
        try:
            return catalogue_file.open_file(self.path, self.source)
        except sqlite3.DatabaseError as error:
            return self._made_again(error)

    def _made_again(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        log.warning("The catalogue %s is damaged (%s), and is made again", self.path, error)
        return self._made()

    def _made(self) -> sqlite3.Connection:
        questions = self.source.read()
        if not questions:
            raise ValueError(f"{self.source.name} has no questions")
        try:
            catalogue_file.write_file(self.path, self.source, questions)
            log.info("Later calls take it from %s", self.path)
            return catalogue_file.open_file(self.path, self.source)
        except (OSError, sqlite3.DatabaseError) as error:
            log.warning(
                "The catalogue cannot be kept in %s (%s): this call works from memory, and the next "
                "one reads all of %s again; --cache DIR names another folder",
                self.path.parent,
                getattr(error, "strerror", None) or error,
                self.source.name,
            )
        self._in_memory = True
        connection = sqlite3.connect(":memory:", isolation_level=None)
        catalogue_file.fill(connection, self.source, questions)
        return connection
