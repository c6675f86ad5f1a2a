"""The storage itself: one writer at a time, readers beside it, all on one file in WAL mode."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosqlite
from sqlalchemy import AsyncAdaptedQueuePool, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from agentops.core.errors import Unavailable
from agentops.core.plugin import Settings
from agentops.core.problem import Problem
from agentops.plugins.storage.sqlite import _diagnosis, _migrating, _reads
from agentops.plugins.storage.sqlite._append import append_batch
from agentops.plugins.storage.sqlite._backup import backup
from agentops.plugins.storage.sqlite._checkpoints import Checkpoints
from agentops.plugins.storage.sqlite._connections import (
    BUSY_SECONDS,
    Mode,
    Synchronous,
    connect,
    translated,
    writer_pragmas,
)
from agentops.plugins.storage.sqlite._copying import copied_from
from agentops.plugins.storage.sqlite._prune import forget_some, prune_some
from agentops.plugins.storage.sqlite._threads import READERS, Threads
from agentops.sql.diagnosis import questions_on
from agentops.sql.storage import SqlStorage, all_of
from agentops.sql.text import storable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from agentops.core.errors import Refusal
    from agentops.core.ports.diagnosis import Question, Reads
    from agentops.core.ports.storage import Append, Appended, FeedItem, Page, PageQuery
    from agentops.core.rungs import Rungs
    from agentops.sql.copying.sides import Source


class SqliteSettings(Settings):
    """`[storage]` with `use = "sqlite"`."""

    path: str = "agentops.sqlite"
    synchronous: Synchronous = "full"
    """`full` makes each commit wait for the disk. `normal` does not: faster, and a power cut may take the last
    seconds of acknowledged events with it."""
    migrate: bool = True
    """Bring the schema up to date at start; without it, `agentops migrate` does."""


class Sqlite(SqlStorage[SqliteSettings]):
    """Everything in one file."""

    _writer: Threads
    _readers: Threads
    _write_engine: AsyncEngine
    _read_engine: AsyncEngine
    _writing: asyncio.Lock

    @property
    def path(self) -> Path:
        return Path(self.settings.path)

    def check(self) -> Iterable[Problem]:
        folder = self.path.absolute().parent
        if self.path.is_dir():
            yield Problem("path", f"{str(self.path)!r} is a folder", "the database is one file", "name a file in it")
        elif not folder.is_dir():
            yield Problem(
                "path",
                f"the folder {str(folder)!r} does not exist",
                "the database file is made in it",
                f"make it (mkdir -p {folder}), or name a file elsewhere",
            )
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield Problem(
                "path",
                f"the folder {str(folder)!r} cannot be written to",
                "SQLite keeps its log beside the database",
                "give this user the right to write there, or name a file elsewhere",
            )
        elif self.path.exists() and not os.access(self.path, os.R_OK | os.W_OK):
            yield Problem(
                "path",
                f"{str(self.path)!r} cannot be read and written",
                "events are stored in it",
                "give this user the right to, or name another file",
            )

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[Sqlite]:
        if self.settings.migrate:
            await self.migrate()
        else:
            await asyncio.to_thread(_migrating.require_migrated, self.path)
        pragmas = writer_pragmas(self.settings.synchronous)
        self._writing = asyncio.Lock()
        self._newest = 0
        self._writer = Threads(1, "sqlite-writer", lambda: connect(self.path, "rw", pragmas))
        self._readers = Threads(READERS, "sqlite-reader", lambda: connect(self.path, "ro"))
        self._checkpoints = Checkpoints(
            self.path, lambda: connect(self.path, "rw", pragmas), self._writing, self._writer, rungs.signals
        )
        drivers: list[_Driver] = []
        self._write_engine = _engine(self.path, "rw", pragmas, size=1, drivers=drivers)
        event.listen(self._write_engine.sync_engine, "begin", _begin_immediate)
        self._read_engine = _engine(self.path, "ro", (), size=READERS, drivers=drivers)
        try:
            yield self
        finally:
            await self._read_engine.dispose()
            await self._write_engine.dispose()
            for driver in drivers:
                await driver.ended()
            await self._checkpoints.close()
            await asyncio.to_thread(self._readers.close)
            await asyncio.to_thread(self._writer.close)

    async def migrate(self) -> None:
        await asyncio.to_thread(_migrating.migrate, self.path)

    async def append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        async with self._writing:
            outcomes = await self._writer.run(append_batch, batch, waits=self.settings.synchronous == "full")
        self._checkpoints.committed()
        return outcomes

    async def _prune_some(self, project: str, run: str, keep: int) -> int:
        if not (storable(project) and storable(run)):
            return 0
        async with self._writing:
            return await self._writer.run(prune_some, project, run, keep)

    async def _forget_to(self, upto: int) -> int:
        return await all_of(partial(self._forget_some, upto))

    async def _forget_some(self, upto: int) -> int:
        async with self._writing:
            return await self._writer.run(forget_some, upto)

    async def known(self, after: int) -> int:
        if after > self._newest:
            self._newest = await self.last_id()
        return min(after, self._newest)

    async def epoch(self) -> int:
        """A file that is put in the place of another is not noticed."""
        return 0

    async def page(self, query: PageQuery) -> Page:
        return await self._readers.run(_reads.page, query)

    async def last_id(self, project: str | None = None, run: str | None = None) -> int:
        return await self._readers.run(_reads.last_id, project, run)

    async def feed(self, project: str, after: str | None, limit: int, max_bytes: int) -> Sequence[FeedItem]:
        return await self._readers.run(_reads.feed, project, _reads.position(after), limit, max_bytes)

    async def feed_end(self, project: str) -> str:
        return str(await self.last_id())

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        with translated():
            async with self._read_engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        async with self._writing:
            with translated():
                async with self._write_engine.begin() as connection:
                    yield connection

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        return await self._readers.run(_reads.rows, query, values)

    @asynccontextmanager
    async def peek(self) -> AsyncGenerator[Reads]:
        if not self.path.exists():
            raise Unavailable(
                f"there is no database {str(self.path.absolute())!r}: a server makes it at its first start"
            )
        peek = _diagnosis.Peek(self.path)
        await peek.read_rows("SELECT 1 FROM sqlite_schema LIMIT 1")
        yield peek

    def questions(self, storage: Reads) -> Iterator[Question]:
        yield from questions_on(storage, migrates=self.settings.migrate)
        yield from _diagnosis.questions_of(self.path, self.settings.synchronous)

    async def backup(self, target: Path, progress: Callable[[int, int], None]) -> None:
        loop = asyncio.get_running_loop()

        def tell(done: int, total: int) -> None:
            loop.call_soon_threadsafe(progress, done, total)

        await self._readers.run(backup, target, tell)

    def copied_from(self) -> AbstractAsyncContextManager[Source]:
        return copied_from(self.path)


def _engine(path: Path, mode: Mode, pragmas: tuple[str, ...], size: int, drivers: list[_Driver]) -> AsyncEngine:
    """Every connection is kept in `drivers` too: SQLAlchemy loses sight of one whose opening was cancelled."""

    def prepared() -> sqlite3.Connection:
        connection = connect(path, mode, pragmas)
        connection.create_function("lower", 1, str.lower, deterministic=True)  # SQLite's own knows only A to Z
        return connection

    async def open_one() -> aiosqlite.Connection:
        connection = _Driver(prepared, iter_chunk_size=64)
        drivers[:] = [*(each for each in drivers if each.is_open()), connection]
        return await connection

    return create_async_engine(
        "sqlite+aiosqlite://",
        async_creator=open_one,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,
    )


class _Driver(aiosqlite.Connection):
    """A connection that can be waited for: a query that was cancelled would still answer to a loop that is closed."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        self._thread.daemon = True

    def is_open(self) -> bool:
        return self._thread.is_alive()

    async def ended(self) -> None:
        """Return once its thread has."""
        if self.is_open():
            self.stop()  # pyright: ignore[reportUnknownMemberType]
            await asyncio.to_thread(self._thread.join, BUSY_SECONDS)


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
