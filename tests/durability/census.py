"""A feature for tests only: what the server holds right now, and a way to ask it from outside."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import psutil
from litestar import get

from agentops.core.http.answers import Answer, json_answer
from agentops.core.plugin import NoSettings
from agentops.core.ports.feature import Feature
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from agentops.core.eventlog import EventLog
    from agentops.core.rungs import Rungs
    from tests.durability.wire import Address


class Counted(msgspec.Struct, frozen=True):
    """What would grow if something were left behind."""

    tasks: int
    sockets: int
    streams: int
    runs: int
    feeds: int
    sleepers: int
    rss: int


class Census(Feature[NoSettings]):
    """`GET /census`; the one connection that asks is among the sockets."""

    _events: EventLog

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncIterator[None]:
        self._events = rungs.events
        yield

    def routes(self) -> Sequence[object]:
        return [get("/census", opt={"public": True}, sync_to_thread=False)(self.count)]

    def count(self) -> Answer:
        gc.collect()
        hub = self._events._hub
        process = psutil.Process()
        counted = Counted(
            tasks=len(asyncio.all_tasks()),
            sockets=len(process.net_connections()),
            streams=len(hub._streams),
            runs=len(hub._runs),
            feeds=len(hub._feeds),
            sleepers=sum(len(topic._sleepers) for topics in (hub._runs, hub._feeds) for topic in topics.values()),
            rss=process.memory_info().rss,
        )
        return json_answer(counted)


async def census(address: Address) -> Counted:
    async with await Connection.open(address) as connection:
        return msgspec.json.decode((await connection.get("/api/census")).body, type=Counted)


async def settled(address: Address, right: Callable[[Counted], bool], within: float = 10) -> Counted:
    """Ask until what the server holds is right; what it is said to be cannot be awaited from outside."""
    give_up = time.monotonic() + within
    while not right(counted := await census(address)):
        assert time.monotonic() < give_up, counted
        await asyncio.sleep(0.05)
    return counted
