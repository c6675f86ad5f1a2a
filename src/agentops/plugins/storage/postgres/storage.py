"""The storage itself: one connection that appends, a pool for all else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from agentops.core.config.settings import Positive, Seconds
from agentops.core.forever import in_background
from agentops.core.plugin import Settings
from agentops.core.problem import Problem
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import _diagnosis, _epochs, _migrating, _parts, _reads
from agentops.plugins.storage.postgres._copying import copied_into
from agentops.plugins.storage.postgres._horizon import Horizon
from agentops.plugins.storage.postgres._prune import prune_some
from agentops.plugins.storage.postgres._writer import Writer
from agentops.sql import runs
from agentops.sql.diagnosis import questions_on
from agentops.sql.migrating import at_head, require_head
from agentops.sql.postgres_server import SCHEMES, Server, numbered, translated
from agentops.sql.storage import SqlStorage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from agentops.core.errors import Refusal
    from agentops.core.ports.diagnosis import Question, Reads
    from agentops.core.ports.storage import Append, Appended, FeedItem, Page, PageQuery
    from agentops.core.rungs import Rungs
    from agentops.sql.copying.sides import Target


class PostgresSettings(Settings):
    """`[storage]` with `use = "postgres"`."""

    url: Secret
    """`postgresql://user:password@host:port/database`; all that libpq takes behind a `?` may follow."""
    pool_size: Positive = 10
    """Connections for reading and for features; appends have one of their own."""
    connect_timeout_seconds: Seconds = 10.0
    statement_timeout_seconds: Seconds = 30.0
    part_events: Positive = 100_000_000
    """Ids in each part of `events`; with `events.retention_days`, parts are begun anew more often, and dropped."""
    migrate: bool = True
    """Bring the schema up to date at start; without it, `agentops migrate` does."""


class Postgres(SqlStorage[PostgresSettings]):
    """Everything in one database, for any number of instances."""

    _writer: Writer
    _engine: AsyncEngine
    _reading: AsyncEngine

    @property
    def _server(self) -> Server:
        settings = self.settings
        return Server(settings.url, settings.connect_timeout_seconds, settings.statement_timeout_seconds)

    def check(self) -> Iterable[Problem]:
        if self.settings.url.reveal().partition("://")[0] not in SCHEMES:
            yield Problem(
                "url",
                "this is not the address of a Postgres database",
                "the storage connects to it",
                "write postgresql://user:password@host:port/database",
            )

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[Postgres]:
        part_events = self.settings.part_events
        prepare = partial(_epochs.recognise, part_events=part_events, signals=rungs.signals)

        async def make_room(connection: Any, count: int) -> None:
            await _parts.make_room(connection, part_events, count=count)

        connection = await self._server.connect_at_start()
        try:
            await self._prepare_schema(await _migrating.stored_revision(connection))
            await prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        self._writer = Writer(self._server, connection, prepare, make_room)
        self._engine = _engine(self._server, self.settings.pool_size)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        try:
            async with in_background(rungs.signals, {"feed.horizon": Horizon(self, rungs.signals).step}):
                yield self
        finally:
            await self._writer.close()
            await self._engine.dispose()

    async def migrate(self) -> None:
        connection = await self._server.connect_at_start()
        await connection.close()
        await _migrating.migrate(self._server)

    async def append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        return await self._writer.append(batch)

    async def page(self, query: PageQuery) -> Page:
        async with self._driver() as connection:
            return await _reads.page(connection, query)

    async def last_id(self, project: str | None = None, run: str | None = None) -> int:
        async with self._driver() as connection:
            return await _reads.last_id(connection, project, run)

    async def known(self, after: int) -> int:
        async with self._driver() as connection:
            return await _epochs.known(connection, after)

    async def epoch(self) -> int:
        async with self._driver() as connection:
            return await _epochs.number(connection)

    async def feed(self, project: str, after: str | None, limit: int, max_bytes: int) -> Sequence[FeedItem]:
        async with self._driver() as connection:
            return await _reads.feed(connection, project, after, limit, max_bytes)

    async def _prune_some(self, project: str, run: str, keep: int) -> int:
        async with self.write() as connection:
            pk = await runs.key_of(connection, project, run)
            return 0 if pk is None else await prune_some(connection, pk, keep)

    async def _last_before_mark(self) -> int:
        async with self._upkeep() as connection:
            return await _parts.begin_next(connection, self.settings.part_events)

    async def _forget_to(self, upto: int) -> int:
        async with self._driver() as connection:
            if not any(part.end <= upto + 1 for part in await _parts.parts(connection)):
                return 0
        async with self._upkeep() as connection:
            return await _parts.drop_to(connection, upto)

    async def feed_end(self, project: str) -> str:
        async with self._driver() as connection:
            return await _reads.feed_end(connection)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        with translated():
            async with self._reading.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        with translated():
            async with self._engine.begin() as connection:
                yield connection

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        async with self._driver() as connection:
            rows: Sequence[Sequence[Any]] = await connection.fetch(numbered(query), *values)
            return rows

    def peek(self) -> AbstractAsyncContextManager[Reads]:
        return _diagnosis.peek(self._server)

    def questions(self, storage: Reads) -> Iterator[Question]:
        yield from questions_on(storage, migrates=self.settings.migrate)
        yield from _diagnosis.questions_of(storage, self.settings.pool_size + 1)

    def copied_into(self) -> AbstractAsyncContextManager[Target]:
        return copied_into(self._server, self.settings.part_events)

    @asynccontextmanager
    async def _driver(self) -> AsyncGenerator[Any]:
        """The driver's own connection out of the pool: half the time of a page goes into wrapping its rows."""
        async with self.read() as connection:
            yield (await connection.get_raw_connection()).driver_connection

    @asynccontextmanager
    async def _upkeep(self) -> AsyncGenerator[Any]:
        """A connection for what may take longer than a request, as long as no other instance is at it."""
        with translated():
            connection = await self._server.connect_patiently()
            try:
                await connection.execute("SELECT pg_advisory_lock($1)", _parts.UPKEEP_LOCK)
                yield connection
            finally:
                connection.terminate()

    async def _prepare_schema(self, stored: str | None) -> None:
        if not self.settings.migrate:
            require_head(stored)
        elif not at_head(stored):
            await _migrating.migrate(self._server)


def _engine(server: Server, size: int) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=server.connect,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_lost)
    return engine


def _refuse_lost(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """Make the pool replace a connection that broke while it was idle, without asking the server each time."""
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError
