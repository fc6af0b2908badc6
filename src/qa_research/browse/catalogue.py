"""The questions of one source by index, id and text, from an SQLite file that is made once.

The first opening reads the source and keeps the file in the cache; later ones read only what is asked for.
"""

import difflib
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qa_research.caches import DamagedError, content_bytes, written_checked
from qa_research.console import tracked
from qa_research.files import parse_json
from qa_research.tasks.answering.question import Gold, Question, find_bad_rows
from qa_research.tasks.answering.source import NamedSource

log = logging.getLogger(__name__)
PLACES = ("question", "context", "answer")
FORMAT = 3
QUESTIONS_AT_ONCE = 2000
IDS_COMPARED = 500


@dataclass(frozen=True, slots=True)
class TextMatches:
    """A text that contains what was searched for: which place it is, and the characters of each match."""

    place: str
    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A question that contains what was searched for, and where, in the order of PLACES."""

    index: int
    row: Question
    matches: tuple[TextMatches, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "index": self.index,
            "id": self.row.id,
            "question": self.row.question,
            "found": [asdict(matches) for matches in self.matches],
        }


def fold(text: str) -> str:
    """The text as it is compared: equal for texts that differ only in case, in any alphabet."""
    return text.casefold()


def find_all(text: str, wanted: str) -> list[tuple[int, int]]:
    """Characters (begin, end) of `text` that match `wanted`, ignoring case; matches do not overlap."""
    folded, wanted = fold(text), fold(wanted)
    if not wanted:
        return []
    # Folding makes some letters longer, so offsets move. "Straße 1" folds to "strasse 1": origin is
    # 0 1 2 3 4 4 5 6 7, and the match of "ss" at 4 to 6 is the character at 4.
    origin: Sequence[int] = range(len(text))
    if len(folded) != len(text):
        origin = [i for i, letter in enumerate(text) for _ in fold(letter)]
    spans: list[tuple[int, int]] = []
    at = folded.find(wanted)
    while at >= 0:
        last = at + len(wanted) - 1
        span = (origin[at], origin[last] + 1)
        # A search for "s" finds both halves of "ß", which is one character.
        if not spans or span[0] >= spans[-1][1]:
            spans.append(span)
        at = folded.find(wanted, last + 1)
    return spans


def hit_in(index: int, row: Question, wanted: str, place: str | None) -> Hit:
    """Where a question contains `wanted`: in one of PLACES, or in any of them (None)."""
    texts = [("question", row.question), ("context", row.context)]
    texts += [("answer", text) for text in dict.fromkeys(gold.text for gold in row.answers)]
    matches = [
        TextMatches(name, text, tuple(spans))
        for name, text in texts
        if place in (None, name) and (spans := find_all(text, wanted))
    ]
    return Hit(index, row, tuple(matches))


# Searching reads the folded tables and nothing else. Each text that is searched is a value of its own:
# joined by whatever separator, a search for the separator would match across two of them.
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE source (state TEXT NOT NULL, questions INTEGER NOT NULL, unanswerable INTEGER NOT NULL);
CREATE TABLE contexts (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE questions (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT NOT NULL, context INTEGER NOT NULL,
    question TEXT NOT NULL, answers TEXT NOT NULL, kind TEXT NOT NULL
);
CREATE TABLE folded_contexts (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE folded_questions (
    position INTEGER PRIMARY KEY, context INTEGER NOT NULL, question TEXT NOT NULL
);
CREATE TABLE folded_answers (position INTEGER NOT NULL, text TEXT NOT NULL);
"""


def path_of(source: NamedSource, cache: Path) -> Path:
    """The file of a source's catalogue: `catalogue-<which source>-<which state of it>.sqlite`."""
    which = _digest(f"{source.identity} {source.split}")
    return cache / f"catalogue-{which}-{_digest(f'{FORMAT} {source.state}')}.sqlite"


def open_file(path: Path, source: NamedSource) -> sqlite3.Connection:
    """A read-only connection, even in a folder that cannot be written.

    Raises:
        DamagedError: it is not what was written.
        sqlite3.DatabaseError: it is not a catalogue of this source.
    """
    content_bytes(path)
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        facts = connection.execute("SELECT state, questions FROM source").fetchall()
        (last,) = connection.execute("SELECT max(position) FROM questions").fetchone()
        if len(facts) != 1 or facts[0] != (source.state, (-1 if last is None else last) + 1):
            raise sqlite3.DatabaseError("it belongs to another source")
    except BaseException:
        connection.close()
        raise
    return connection


def write_file(path: Path, source: NamedSource, questions: Sequence[Question]) -> None:
    """Write a catalogue whole or not at all, and remove those of earlier states of its source.

    Raises:
        OSError: the folder cannot be written.
        sqlite3.OperationalError: the disk is full.
    """
    # SQLite opens the temporary file by its name.
    with (
        written_checked(path) as file,
        closing(sqlite3.connect(file.name, isolation_level=None)) as connection,
    ):
        fill(connection, source, questions)
    for other in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*.sqlite"):
        if other != path:
            other.unlink(missing_ok=True)


def fill(
    connection: sqlite3.Connection, source: NamedSource, questions: Sequence[Question]
) -> None:
    """Write all questions into an empty database; shows progress if it takes long.

    Raises:
        ValueError: a text is not valid Unicode.
    """
    connection.executescript(_SCHEMA)
    connection.execute("BEGIN")
    contexts: dict[str, int] = {}
    for begin in tracked(range(0, len(questions), QUESTIONS_AT_ONCE), "Writing the catalogue"):
        batch = questions[begin : begin + QUESTIONS_AT_ONCE]
        try:
            _write(connection, begin, batch, contexts)
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{source.name}: one of the questions {begin} to {begin + len(batch) - 1} has half a "
                f"character ({error.object[error.start : error.end]!a}), which is not valid Unicode: "
                f"{_of_half(batch)}"
            ) from error
    connection.execute("CREATE INDEX questions_by_id ON questions (id)")
    unanswerable = sum(row.is_labelled and not row.answers for row in questions)
    facts = (source.state, len(questions), unanswerable)
    connection.execute("INSERT INTO source VALUES (?, ?, ?)", facts)
    connection.execute("COMMIT")


def _write(
    connection: sqlite3.Connection, begin: int, batch: Sequence[Question], contexts: dict[str, int]
) -> None:
    """Write a batch; `contexts` numbers each distinct context, which is written once."""
    new = [text for text in dict.fromkeys(row.context for row in batch) if text not in contexts]
    contexts |= {text: number for number, text in enumerate(new, start=len(contexts))}
    insert = connection.executemany
    insert("INSERT INTO contexts VALUES (?, ?)", [(contexts[text], text) for text in new])
    insert(
        "INSERT INTO folded_contexts VALUES (?, ?)", [(contexts[text], fold(text)) for text in new]
    )
    rows, folded_questions, folded_answers = [], [], []
    for index, row in enumerate(batch, start=begin):
        context = contexts[row.context]
        golds = json.dumps(
            [[(g.text, g.start) for g in row.answers], row.is_labelled, row.fault],
            ensure_ascii=False,
        )
        rows.append((index, row.id, row.title, context, row.question, golds, row.kind))
        folded_questions.append((index, context, fold(row.question)))
        folded_answers += [
            (index, text) for text in dict.fromkeys(fold(gold.text) for gold in row.answers)
        ]
    insert("INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    insert("INSERT INTO folded_questions VALUES (?, ?, ?)", folded_questions)
    insert("INSERT INTO folded_answers VALUES (?, ?)", folded_answers)


def _of_half(batch: Sequence[Question]) -> str:
    """The question of a batch that has half a character, by its id."""
    bad = find_bad_rows(batch, for_training=False)
    return next(f"id {row.id}" for row in bad if "half a character" in row.reason)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


_HAS = {
    "question": "instr(question, :text)",
    "context": "context IN (SELECT number FROM folded_contexts WHERE instr(text, :text))",
    "answer": "position IN (SELECT position FROM folded_answers WHERE instr(text, :text))",
}
_COLUMNS = "questions.position, id, title, contexts.text, question, answers, kind"
_ROWS = f"SELECT {_COLUMNS} FROM questions JOIN contexts ON contexts.number = questions.context"


class Catalogue:
    """The questions of `source`, numbered from 0; close it, or use it in a `with`.

    The file is kept in `cache`. If that cannot be written, everything stays in memory; if the file turns
    out to be damaged, it is made again. Both are logged.

    Raises:
        ValueError, OSError: the source cannot be read, or has no questions.
    """

    def __init__(self, source: NamedSource, cache: Path) -> None:
        self.source = source
        self.path = path_of(source, cache.expanduser())
        self._in_memory = False
        self._connection = self._opened()

    def __enter__(self) -> "Catalogue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __len__(self) -> int:
        return int(self._rows("SELECT questions FROM source")[0][0])

    @property
    def has_unanswerable(self) -> bool:
        """Whether some question has no answer (SQuAD v2.0)."""
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
        """The questions at these indices, in their order; indices without a question are skipped."""
        wanted = json.dumps([index for index in indices if abs(index) < 2**63])
        where = "WHERE questions.position IN (SELECT value FROM json_each(?))"
        rows = dict(self._questions(f"{_ROWS} {where}", (wanted,)))
        return [rows[index] for index in indices if index in rows]

    def all(self) -> list[Question]:
        """All questions, in order."""
        return [row for _, row in self._questions(f"{_ROWS} ORDER BY questions.position")]

    def indices_of(self, identity: str) -> list[int]:
        """The indices of all questions with this id, usually one.

        Raises:
            ValueError: there is none; the message offers the closest ids.
        """
        rows = self._rows(
            "SELECT position FROM questions WHERE id = ? ORDER BY position", (identity,)
        )
        if not rows:
            near = self._near_ids(identity)
            offer = f"; the closest: {', '.join(near)}" if near else ""
            raise ValueError(f"no question of {self.source.name} has the id {identity!r}{offer}")
        return [index for (index,) in rows]

    def index_of(self, wanted: str) -> int:
        """The index of the question with this id; otherwise of the first one in these words, in any case.

        Raises:
            ValueError: there is neither; the closest ids are offered.
        """
        try:
            return self.indices_of(wanted)[0]
        except ValueError:
            for index in self.search(wanted, "question"):
                if fold(self.question(index).question.strip()) == fold(wanted.strip()):
                    return index
            raise

    def search(self, text: str, place: str | None = None) -> list[int]:
        """The indices of all questions that contain `text`, ignoring case, in order.

        `place` is one of PLACES (question, context, answer), or None for any of them.

        Raises:
            ValueError: the text is empty, or not valid Unicode.
        """
        if not text.strip():
            raise ValueError("the text to search for is empty")
        if text != text.encode(errors="replace").decode():
            raise ValueError(f"the text to search for is not valid Unicode: {text!a}")
        has = " OR ".join(_HAS[name] for name in PLACES if place in (None, name))
        query = f"SELECT position FROM folded_questions WHERE {has} ORDER BY position"
        return [index for (index,) in self._rows(query, {"text": fold(text)})]

    def _near_ids(self, identity: str) -> list[str]:
        """Up to three ids that differ little from this one, among those that begin or end like it."""
        # difflib is slow, so it compares some hundred candidates. First the ids with the longest common
        # beginning (56de49a8c..., then 56de49a8..., and so on), then those that contain its second half.
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
        texts: dict[str, str] = {}  # one string object per context, as in the sources
        for index, identity, title, context, question, answers, kind in self._rows(query, values):
            context = texts.setdefault(context, context)
            pairs, *label = parse_json(answers, str(self.path))
            golds = tuple(Gold(text, start) for text, start in pairs)
            yield index, Question(identity, title, context, question, golds, kind, *label)

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
            return open_file(self.path, self.source)
        except (DamagedError, sqlite3.DatabaseError) as error:
            return self._made_again(error)

    def _made_again(self, error: Exception) -> sqlite3.Connection:
        log.warning("The catalogue %s is damaged (%s); making it again", self.path, error)
        return self._made()

    def _made(self) -> sqlite3.Connection:
        questions = self.source.read()
        if not questions:
            raise ValueError(f"{self.source.name} has no questions")
        try:
            write_file(self.path, self.source, questions)
            log.info("Later calls read it from %s", self.path)
            return open_file(self.path, self.source)
        except (OSError, sqlite3.DatabaseError) as error:
            log.warning(
                "The catalogue cannot be kept in %s (%s): this call works from memory, and the next "
                "one will read all of %s again; --cache DIR names another folder",
                self.path.parent,
                getattr(error, "strerror", None) or error,
                self.source.name,
            )
        self._in_memory = True
        connection = sqlite3.connect(":memory:", isolation_level=None)
        fill(connection, self.source, questions)
        return connection
