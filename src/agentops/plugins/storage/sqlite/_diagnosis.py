"""What can be wrong with a database that is a file: the file itself, its log, and the disk that both are on."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
import time
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import Unavailable
from agentops.core.ports.diagnosis import Finding, Question, fine
from agentops.core.problem import Problem
from agentops.plugins.storage.sqlite._connections import unavailable
from agentops.sql.diagnosis import NoTables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agentops.plugins.storage.sqlite._connections import Synchronous

MB: Final = 1024 * 1024
LOG_LONG: Final = 192 * MB
"""The log is emptied long before, unless a reader holds it or nobody can."""
LITTLE_ROOM: Final = 1024 * MB
NO_ROOM: Final = 64 * MB
WAIT_SECONDS: Final = 2.0
_STEPS_BETWEEN_LOOKS: Final = 10_000


class Peek:
    """Reads the file, each time through a connection of its own.

    Where there is no log nobody has the file open, and it is read as one that cannot change: SQLite would make a log
    else and leave it behind, owned by whoever looked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        return await asyncio.to_thread(self._rows, query, values)

    def _rows(self, query: str, values: tuple[str | int, ...]) -> Sequence[Sequence[Any]]:
        try:
            connection = self._connect()
            try:
                return connection.execute(query, values).fetchall()
            finally:
                connection.close()
        except sqlite3.Error as error:
            if "no such table" in str(error):
                raise NoTables from error
            raise (unavailable(error) or Unavailable(f"the database says: {error}")) from error

    def _connect(self) -> sqlite3.Connection:
        quiet = not log_of(self._path).exists()
        uri = f"{self._path.absolute().as_uri()}?mode=ro{'&immutable=1' if quiet else ''}"
        connection = sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
        until = time.monotonic() + WAIT_SECONDS
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
        return connection


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def questions_of(path: Path, synchronous: Synchronous) -> Iterator[Question]:
    """In a thread, for a disk may hang, too; of a file that is not there nothing is asked."""
    if path.is_file():
        yield Question("room on the disk", lambda: asyncio.to_thread(room, path))
        yield Question("write-ahead log", lambda: asyncio.to_thread(log_length, path))
        yield Question("owners of the files", lambda: asyncio.to_thread(owners, path))
        yield Question("who may read the file", lambda: asyncio.to_thread(readers, path))
        yield Question("durability", lambda: asyncio.to_thread(durability, synchronous))


def room(path: Path) -> list[Finding]:
    disk = shutil.disk_usage(path.absolute().parent)
    return [*too_little_room(disk.free), fine(f"{_size(path)} in the database, {disk.free // MB:,} MB free")]


def too_little_room(free: int) -> Iterator[Finding]:
    if free >= LITTLE_ROOM:
        return
    yield Finding(
        "failing" if free < NO_ROOM else "risk",
        Problem(
            "path",
            f"there are {free // MB:,} MB free on the disk of the database",
            "when it is full nothing can be stored, and every event is answered 503",
            "make room, lower events.retention and run `agentops prune`, or move the database",
        ),
    )


def log_length(path: Path) -> list[Finding]:
    log = log_of(path)
    length = log.stat().st_size if log.exists() else 0
    if length <= LOG_LONG:
        return []
    return [
        Finding(
            "risk",
            Problem(
                "path",
                f"the write-ahead log has grown to {length // MB:,} MB and does not shrink",
                "reads become slower, and it takes the disk: somebody has been reading for long, or nobody empties it",
                f"find who has it open (`lsof {log}`), end that, or restart the server",
            ),
        )
    ]


def owners(path: Path) -> list[Finding]:
    """A command that another user ran beside the server may have left a log that the server cannot write."""
    owner = path.stat().st_uid
    beside = [each for each in (log_of(path), path.with_name(f"{path.name}-shm")) if each.exists()]
    strange = [each for each in beside if each.stat().st_uid != owner]
    if not strange:
        return []
    names = " and ".join(repr(str(each)) for each in strange)
    return [
        Finding(
            "risk",
            Problem(
                "path",
                f"{names} belong to another user than the database",
                "the server may not be able to write to it, and would store nothing",
                f"give them to the owner of the database: chown --reference={path} {path}-*",
            ),
        )
    ]


def readers(path: Path) -> list[Finding]:
    mode = path.stat().st_mode
    reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.absolute().parents)
    if not reachable or not mode & (stat.S_IROTH | stat.S_IWOTH):
        return []
    writable = bool(mode & stat.S_IWOTH)
    problem = Problem(
        "path",
        f"every user of this machine may {'write to' if writable else 'read'} the database file",
        "lanes and keys guard nothing from them",
        f"chmod o-rw {path}*, and start the server with umask 077",
    )
    return [Finding("risk" if writable else "advice", problem)]


def durability(synchronous: Synchronous) -> list[Finding]:
    if synchronous == "full":
        return []
    what, why = "commits do not wait for the disk", "a power cut may take the last seconds of acknowledged events"
    return [Finding("advice", Problem("synchronous", what, why, 'write synchronous = "full" if they matter'))]


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size // MB:,} MB" if size >= MB else f"{size // 1024:,} KB"
