"""The SQLite file of a catalogue: how questions are written, and whether a file is whole."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from qa_research.console import tracked
from qa_research.data.named_source import NamedSource
from qa_research.data.question import Question
from qa_research.data.searching import fold

FORMAT = 1
QUESTIONS_AT_ONCE = 2000
# Between the answers of a question, so that no text is found across two of them.
BETWEEN_ANSWERS = "\x1f"
# Folded texts stand apart: searching reads them and nothing else.
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
    position INTEGER PRIMARY KEY, context INTEGER NOT NULL, question TEXT NOT NULL,
    answers TEXT NOT NULL
);
"""


def path_of(source: NamedSource, cache: Path) -> Path:
    """Where the catalogue of a source lies: `catalogue-<which source>-<which state of it>.sqlite`."""
    which = _digest(f"{source.identity} {source.split}")
    return cache / f"catalogue-{which}-{_digest(f'{FORMAT} {source.state}')}.sqlite"


def open_file(path: Path, source: NamedSource) -> sqlite3.Connection:
    """A connection that only reads; also in a folder that cannot be written.

    Raises:
        sqlite3.DatabaseError: it is no catalogue of this source, or visibly damaged.
    """
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        if path.stat().st_size != pages * page_size:
            raise sqlite3.DatabaseError("it is not as long as it says")
        facts = connection.execute("SELECT state, questions FROM source").fetchall()
        (last,) = connection.execute("SELECT max(position) FROM questions").fetchone()
        if len(facts) != 1 or facts[0] != (source.state, (-1 if last is None else last) + 1):
            raise sqlite3.DatabaseError("it is not of this source")
    except BaseException:
        connection.close()
        raise
    return connection


def write_file(path: Path, source: NamedSource, questions: Sequence[Question]) -> None:
    """Write a catalogue, whole or not at all, and remove those of earlier states of its source.

    Raises:
        OSError: the folder cannot be written.
        sqlite3.OperationalError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.touch()  # SQLite's own error would not say why it cannot
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            fill(connection, source, questions)
        finally:
            connection.close()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    for other in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*.sqlite"):
        if other != path:
            other.unlink(missing_ok=True)


def fill(
    connection: sqlite3.Connection, source: NamedSource, questions: Sequence[Question]
) -> None:
    """Write all questions into an empty database; shows progress where it takes long.

    Raises:
        ValueError: a text that has no UTF-8.
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
                f"{source.name}: one of the questions {begin} to {begin + len(batch) - 1} holds half "
                f"a character ({error.object[error.start : error.end]!a}), which is no Unicode text"
            ) from error
    connection.execute("CREATE INDEX questions_by_id ON questions (id)")
    unanswerable = sum(not row.answers for row in questions)
    facts = (source.state, len(questions), unanswerable)
    connection.execute("INSERT INTO source VALUES (?, ?, ?)", facts)
    connection.execute("COMMIT")


def _write(
    connection: sqlite3.Connection,
    begin: int,
    batch: Sequence[Question],
    contexts: dict[str, int],
) -> None:
    new = [text for text in dict.fromkeys(row.context for row in batch) if text not in contexts]
    numbers = range(len(contexts), len(contexts) + len(new))
    contexts.update(zip(new, numbers, strict=True))
    texts = list(zip(numbers, new, strict=True))
    connection.executemany("INSERT INTO contexts VALUES (?, ?)", texts)
    folded = [(number, fold(text)) for number, text in texts]
    connection.executemany("INSERT INTO folded_contexts VALUES (?, ?)", folded)
    rows = [
        (begin + i, row.id, row.title, contexts[row.context], row.question, _answers(row), row.kind)
        for i, row in enumerate(batch)
    ]
    connection.executemany("INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    searched = [
        (
            begin + i,
            contexts[row.context],
            fold(row.question),
            fold(BETWEEN_ANSWERS.join(gold.text for gold in row.answers)),
        )
        for i, row in enumerate(batch)
    ]
    connection.executemany("INSERT INTO folded_questions VALUES (?, ?, ?, ?)", searched)


def _answers(row: Question) -> str:
    return json.dumps([(gold.text, gold.start) for gold in row.answers], ensure_ascii=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
