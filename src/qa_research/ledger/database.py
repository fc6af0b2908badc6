"""Opens a ledger's file, for writing or only for reading, and says plainly why that fails."""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from filelock import FileLock, Timeout

from qa_research.text import command_line

log = logging.getLogger(__name__)
VERSION = 5
# Version 1 had only runs, version 2 no rows of an imported database, version 3 no stacks, version 4 only
# questions and no other examples. All can be read as they are.
OLDEST_READABLE = 1
_SINCE_VERSION_2 = "".join(
    f"ALTER TABLE {table} ADD COLUMN told_row INTEGER;" for table in ("states", "searches")
)
_SINCE_VERSION_4 = "ALTER TABLE sources ADD COLUMN examples TEXT NOT NULL DEFAULT 'questions';"
SECONDS_TO_WAIT = 60.0
SECONDS_BEFORE_A_LINE = 2.0


def scan_command(ledger: Path) -> str:
    """What makes a ledger again from the runs beside it, as a shell takes it."""
    return f"`{command_line('qa-research', 'runs', 'scan', '--runs', ledger.parent)}`"


def _start_over(ledger: Path) -> str:
    return (
        f"move it away, and {scan_command(ledger)} makes a new one from the run.json files (only the old "
        "one has the questions that were asked)"
    )


def open_to_write(path: Path) -> sqlite3.Connection:
    """A connection to the ledger at `path`, which is created if there is none.

    Raises:
        ValueError: the file is not a ledger, or one of a newer version.
        OSError: it cannot be created or opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(_not_writable(path))
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        # Turning WAL on fails with "database is locked" if another process opens the file at the same time.
        with lock.acquire(timeout=SECONDS_TO_WAIT, poll_interval=0.005), plain_errors(path):
            connection = sqlite3.connect(path, timeout=SECONDS_TO_WAIT, isolation_level=None)
            try:
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
    except Timeout as error:
        raise TimeoutError(_busy(path)) from error
    connection.row_factory = sqlite3.Row
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; file and folder may be read-only, and the disk full.

    Raises:
        FileNotFoundError: there is none, or only an empty file.
        ValueError: the file is not a ledger, or one of a newer version.
        OSError: the latest entries cannot be read without writing next to the file.
    """
    if not path.is_file() or not path.stat().st_size:
        raise FileNotFoundError(f"there is no ledger {path}; {scan_command(path)} makes one")
    try:
        connection = _checked_reader(path, "mode=ro")
    except OSError as error:
        if not isinstance(error, PermissionError) and error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        # SQLite reads a file in WAL mode with the help of two files next to it, which it creates when
        # nobody else has it open. Where it must not, the file itself is complete, unless a process was
        # killed and left the latest transactions in the first of the two.
        wal = path.with_name(f"{path.name}-wal")
        if wal.exists() and wal.stat().st_size:
            raise PermissionError(
                f"the latest entries of {path} are still in {wal.name}, and reading them needs "
                f"permission and room to write in {path.parent}; copy the files {path.name}* elsewhere"
            ) from None
        connection = _checked_reader(path, "mode=ro&immutable=1")
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about a file into a ValueError or OSError that says what to do."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
        # Its other subclasses are mistakes in our own statements.
        if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError):
            raise
        name: str = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise ValueError(
                f"{path} is not an SQLite database, or is damaged; {_start_over(path)}"
            ) from error
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            raise PermissionError(_not_writable(path)) from error
        if name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"):
            raise OSError(errno.ENOSPC, "The disk is full", str(path)) from error
        if name == "SQLITE_IOERR_SHMOPEN":
            raise OSError(errno.EIO, "The file beside it cannot be made", f"{path}-shm") from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise TimeoutError(_busy(path)) from error
        raise OSError(f"the ledger {path} cannot be used: {error}") from error


@contextmanager
def transaction(
    connection: sqlite3.Connection, path: Path, begin: str
) -> Iterator[sqlite3.Connection]:
    """All of it is done, or nothing. `begin`: BEGIN to read, BEGIN IMMEDIATE to write.

    A transaction that starts by reading and then writes fails if another one has written in between.
    """
    with plain_errors(path):
        _begin(connection, path, begin)
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _begin(connection: sqlite3.Connection, path: Path, begin: str) -> None:
    connection.execute(f"PRAGMA busy_timeout = {1000 * SECONDS_BEFORE_A_LINE:.0f}")
    try:
        connection.execute(begin)
        return
    except sqlite3.OperationalError as error:
        if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise
        log.info("Waiting for the ledger %s, which another process has locked", path)
    finally:
        left = 1000 * (SECONDS_TO_WAIT - SECONDS_BEFORE_A_LINE)
        connection.execute(f"PRAGMA busy_timeout = {left:.0f}")
    connection.execute(begin)


def _checked_reader(path: Path, how: str) -> sqlite3.Connection:
    with plain_errors(path):
        connection = sqlite3.connect(
            f"{path.as_uri()}?{how}", uri=True, timeout=SECONDS_TO_WAIT, isolation_level=None
        )
        try:
            _check(connection, path, OLDEST_READABLE)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    is_older = OLDEST_READABLE <= version < VERSION and _is_ledger(connection)
    if (version == 0 and tables == 0) or is_older:
        schema = files("qa_research.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
        added = _SINCE_VERSION_2 if version == 2 else ""
        sources = {row[1] for row in connection.execute("PRAGMA table_info(sources)")}
        added += _SINCE_VERSION_4 if sources and "examples" not in sources else ""
        connection.executescript(f"BEGIN IMMEDIATE; {added} {schema} COMMIT;")
    _check(connection, path, VERSION)
    # Where a file system has no WAL, SQLite keeps its journal: as safe, but then writers wait for readers.
    # What was asked is stored only here, so each transaction is synced (FULL).
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _check(connection: sqlite3.Connection, path: Path, oldest: int) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise ValueError(
            f"{path} was written by a newer qa_research (ledger version {version}, this one knows "
            f"{VERSION}); upgrade qa_research, or {_start_over(path)}"
        )
    if version < oldest or not _is_ledger(connection):
        raise ValueError(
            f"{path} is a database, but not a ledger of qa_research; {_start_over(path)}"
        )


def _is_ledger(connection: sqlite3.Connection) -> bool:
    # A view of such a name may be anything, and may never end; a trigger may undo what is written.
    kinds = dict(connection.execute("SELECT name, type FROM sqlite_master").fetchall())
    is_ours = kinds.get("runs") == kinds.get("scores") == "table"
    return is_ours and "trigger" not in kinds.values()


def _not_writable(path: Path) -> str:
    return f"the ledger {path} cannot be written: the file or folder is read-only, or it is not a folder"


def _busy(path: Path) -> str:
    return (
        f"another process has locked the ledger {path} for {SECONDS_TO_WAIT:.0f} s; try again later"
    )
