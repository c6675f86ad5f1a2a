"""The storage itself: one connection that appends, a pool for all else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncConnection

from agentops.core.config.settings import Positive, Seconds
from agentops.core.forever import in_background
from agentops.core.plugin import Settings
from agentops.core.ports.health import Health
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import _diagnosis, _epochs, _migrating, _parts, _reads, _rights
from agentops.plugins.storage.postgres._addresses import problems_of
from agentops.plugins.storage.postgres._copying import copied_into
from agentops.plugins.storage.postgres._horizon import Horizon
from agentops.plugins.storage.postgres._pages import Pages
from agentops.plugins.storage.postgres._pool import Pool
from agentops.plugins.storage.postgres._prune import prune_some
from agentops.plugins.storage.postgres._replica import Replica
from agentops.plugins.storage.postgres._replica_diagnosis import replica_question
from agentops.plugins.storage.postgres._way import Way
from agentops.plugins.storage.postgres._writer import Writer
from agentops.sql import runs
from agentops.sql.diagnosis import questions_on
from agentops.sql.migrating import at_head, require_head
from agentops.sql.postgres_server import Server, numbered, translated
from agentops.sql.storage import SqlStorage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from agentops.core.errors import Refusal
    from agentops.core.ports.diagnosis import Question, Reads
    from agentops.core.ports.storage import Append, Appended, FeedItem, Page, PageQuery
    from agentops.core.problem import Problem
    from agentops.core.rungs import Rungs
    from agentops.core.signals import Signals
    from agentops.sql.copying.sides import Target


class PostgresSettings(Settings):
    """`[storage]` with `use = "postgres"`."""

    url: Secret
    """`postgresql://user:password@host:port/database`; all that libpq takes behind a `?` may follow. Of several hosts,
    `host1:port,host2:port`, the one that can be written to is found with `?target_session_attrs=read-write`."""
    replica_url: Secret | None = None
    """A streaming standby, which then reads the pages that are final; what may have changed since is always read from
    the primary. Without it, or while it is away, the primary reads all."""
    replica_timeout_seconds: Seconds = 2.0
    """When the replica takes longer, the primary is asked."""
    pool_size: Positive = 10
    """Connections for reading and for features; appends have one of their own. To a replica there are as many again."""
    pool_timeout_seconds: Seconds = 5.0
    """How long a request waits for one of them; then it is answered 503."""
    connect_timeout_seconds: Seconds = 10.0
    statement_timeout_seconds: Seconds = 30.0
    part_events: Positive = 100_000_000
    """Ids in each part of `events`; with `events.retention_days`, parts are begun anew more often, and dropped."""
    migrate: bool = True
    """Bring the schema up to date at start; without it, `agentops migrate` does."""


class Postgres(SqlStorage[PostgresSettings]):
    """Everything in one database, for any number of instances."""

    _writer: Writer
    _pool: Pool
    _pages: Pages
    _replica: Replica | None = None

    @property
    def _server(self) -> Server:
        settings = self.settings
        return Server(settings.url, settings.connect_timeout_seconds, settings.statement_timeout_seconds)

    @property
    def _standby(self) -> Server | None:
        url, timeout = self.settings.replica_url, self.settings.replica_timeout_seconds
        return Server(url, timeout, timeout) if url is not None else None

    def check(self) -> Iterable[Problem]:
        yield from problems_of("url", self.settings.url, writes=True)
        if self.settings.replica_url is not None:
            yield from problems_of("replica_url", self.settings.replica_url, writes=False)

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[Postgres]:
        server, part_events = self._server, self.settings.part_events
        recognise = partial(_epochs.recognise, part_events=part_events, signals=rungs.signals)

        async def make_room(connection: Any, count: int) -> None:
            await _parts.make_room(connection, part_events, count=count)

        async def connect_to_append() -> Any:
            return await _prepared(await server.connect(), recognise)

        with _rights.missing_told(server.place):
            prepare = (self._prepare_schema, _rights.require, recognise)
            connection = await _prepared(await server.connect_at_start(), *prepare)
        self._writer = Writer(Way(connect_to_append), connection, make_room)
        self._pool = Pool(Way(server.connect).connect, self.settings.pool_size, self.settings.pool_timeout_seconds)
        self._replica = self._replica_told_to(rungs.signals)
        self._pages = Pages(self._pool, self._replica, rungs.signals)
        steps = {"feed.horizon": Horizon(self, rungs.signals).step}
        if self._replica is not None:
            steps["replica"] = self._replica.step
        try:
            async with in_background(rungs.signals, steps):
                yield self
        finally:
            await self._writer.close()
            await self._pool.close()
            if self._replica is not None:
                await self._replica.close()

    async def health(self) -> Health:
        """The primary; without its replica it is only degraded."""
        await super().health()
        return self._replica.health if self._replica is not None else Health()

    async def migrate(self) -> None:
        connection = await self._server.connect_at_start()
        await connection.close()
        await _migrating.migrate(self._server)

    async def append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        return await self._writer.append(batch)

    async def page(self, query: PageQuery) -> Page:
        return await self._pages.page(query)

    async def last_id(self, project: str | None = None, run: str | None = None) -> int:
        async with self._pool.driver() as connection:
            return await _reads.last_id(connection, project, run)

    async def known(self, after: int) -> int:
        async with self._pool.driver() as connection:
            return await _epochs.known(connection, after)

    async def epoch(self) -> int:
        async with self._pool.driver() as connection:
            return await _epochs.life(connection)

    async def feed(self, project: str, after: str | None, limit: int, max_bytes: int) -> Sequence[FeedItem]:
        return await self._pages.feed(project, after, limit, max_bytes)

    async def _prune_some(self, project: str, run: str, keep: int) -> int:
        async with self.write() as connection:
            pk = await runs.key_of(connection, project, run)
            return 0 if pk is None else await prune_some(connection, pk, keep)

    async def _mark(self, due: int) -> None:
        async with self._upkeep() as connection:
            await _parts.mark(connection, self.settings.part_events, due)

    async def _forget_to(self, upto: int) -> int:
        async with self._pool.driver() as connection:
            if not any(part.end <= upto + 1 for part in await _parts.parts(connection)):
                return 0
        async with self._upkeep() as connection:
            return await _parts.drop_to(connection, upto)

    async def feed_end(self, project: str) -> str:
        async with self._pool.driver() as connection:
            return await _reads.feed_end(connection)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._pool.read()

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._pool.write()

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        async with self._pool.driver() as connection:
            rows: Sequence[Sequence[Any]] = await connection.fetch(numbered(query), *values)
            return rows

    def peek(self) -> AbstractAsyncContextManager[Reads]:
        return _diagnosis.peek(self._server)

    def questions(self, storage: Reads) -> Iterator[Question]:
        yield from questions_on(storage, migrates=self.settings.migrate)
        yield from _diagnosis.questions_of(storage, self.settings.pool_size + 1)
        if self._standby is not None:
            yield replica_question(storage, self._standby)

    def copied_into(self) -> AbstractAsyncContextManager[Target]:
        return copied_into(self._server, self.settings.part_events)

    def _replica_told_to(self, signals: Signals) -> Replica | None:
        if self._standby is None:
            return None
        size, timeout = self.settings.pool_size, self.settings.replica_timeout_seconds
        return Replica(self._standby, size, timeout, self, signals)

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

    async def _prepare_schema(self, connection: Any) -> None:
        stored = await _migrating.stored_revision(connection)
        if not self.settings.migrate:
            require_head(stored)
        elif not at_head(stored):
            await _migrating.migrate(self._server)


async def _prepared(connection: Any, *steps: Callable[[Any], Awaitable[None]]) -> Any:
    """The connection after these; it is not left open when one fails."""
    try:
        for step in steps:
            await step(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection
