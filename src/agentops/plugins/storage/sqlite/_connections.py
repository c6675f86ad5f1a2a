"""How connections to the file are opened, and what their errors mean to a caller."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy.exc import DBAPIError

from agentops.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

Mode = Literal["ro", "rw", "rwc"]
Synchronous = Literal["full", "normal"]

BUSY_SECONDS: Final = 10.0
"""How long a transaction of another process (an import, a backup, a prune) is waited for."""

_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "another process holds the database",
    sqlite3.SQLITE_LOCKED: "another process holds the database",
    sqlite3.SQLITE_PROTOCOL: "another process holds the database",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_READONLY: "the database file is read-only",
    sqlite3.SQLITE_NOMEM: "memory ran out",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
}


def connect(path: Path, mode: Mode, pragmas: tuple[str, ...] = ()) -> sqlite3.Connection:
    """Open the file for use by one thread at a time, with transactions only where they are asked for."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def writer_pragmas(synchronous: Synchronous) -> tuple[str, ...]:
    """`fullfsync` is what makes an fsync reach the disk on macOS; elsewhere it does nothing.

    The automatic checkpoint, of 160 MB, is only a backstop: `_checkpoints` comes long before it.
    """
    return (f"synchronous={synchronous}", "fullfsync=ON", "wal_autocheckpoint=40000", "journal_size_limit=67108864")


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL; SQLite does not wait for other connections here, so several starters must try again."""
    give_up = time.monotonic() + BUSY_SECONDS
    while not _in_wal_mode(connection):
        if time.monotonic() > give_up:
            raise sqlite3.OperationalError("another process holds the database")
        time.sleep(0.01)


def _in_wal_mode(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def unavailable(error: BaseException) -> Unavailable | None:
    """The refusal that an error of the database means, or nothing when it is a fault of the statement."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    reason = _REASONS.get(code & 0xFF) if isinstance(code, int) else None
    return Unavailable(f"nothing can be stored or read now: {reason}") if reason else None


@contextmanager
def translated() -> Generator[None]:
    """Raise `Unavailable` for what is no fault of the caller."""
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        refusal = unavailable(error)
        if refusal is None:
            raise
        raise refusal from error


def roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
