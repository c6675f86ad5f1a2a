"""A disk that is full or fails: nothing is acknowledged, streams stay whole, and it goes on when there is room."""

from __future__ import annotations

import asyncio
import errno
from contextlib import AbstractContextManager, ExitStack, closing
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.durability.apps import Plan
from tests.durability.disk import SYNCS, WRITES, Disk, can_supervise, no_file_may_grow
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by
from tests.durability.processes import Server, server
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.durability.apps import Database

pytestmark = pytest.mark.skipif(not can_supervise(), reason="only Linux lets one process answer for another's disk")


def full(disk: Disk, _served: Server) -> AbstractContextManager[None]:
    return disk.failing(WRITES, errno.ENOSPC)


def over_quota(_disk: Disk, served: Server) -> AbstractContextManager[None]:
    return no_file_may_grow(served.pid)


def failing_sync(disk: Disk, _served: Server) -> AbstractContextManager[None]:
    return disk.failing(SYNCS, errno.EIO)


@pytest.mark.parametrize("fault", [full, over_quota, failing_sync])
async def test_nothing_is_acknowledged_until_the_disk_works_again(
    sqlite: Database, fault: Callable[[Disk, Server], AbstractContextManager[None]]
) -> None:
    ledger = Ledger("r")
    with ExitStack() as stack:
        disk = stack.enter_context(closing(Disk()))
        served = stack.enter_context(server(Plan(sqlite, errors="problem"), disk.prepare))
        follower = Follower(served.address, f"{ledger.path}/stream", "0")
        producers = [Producer(f"p{number}", served.address, ledger, Random(number)) for number in range(4)]
        async with at_work(follower):
            async with at_work(*producers):
                served.start()
                with disk.supervised():
                    await ledger.grows(by=50)
                    for _ in range(3):
                        with fault(disk, served):
                            await _nothing_is_acknowledged(ledger, producers)
                            await _readers_are_served_and_writers_told(served, ledger)
                        await ledger.grows(by=50)
                    with fault(disk, served):
                        await _nothing_is_acknowledged(ledger, producers)
                        served.kill()
                served.start()
                stack.enter_context(disk.supervised())
                await ledger.grows(by=50)
            stored = await events_of(served.address, ledger)
            await follower.has(stored[-1][0])
    ledger.verify(stored)
    assert seen_by(follower) == stored
    assert sqlite.is_intact()


async def _nothing_is_acknowledged(ledger: Ledger, producers: list[Producer]) -> None:
    """Once every producer was refused, nothing that was stored before is on its way any more."""
    await asyncio.gather(*(producer.is_refused() for producer in producers))
    before = set(ledger.stored)
    await asyncio.gather(*(producer.is_refused(times=5) for producer in producers))
    assert ledger.stored == before


async def _readers_are_served_and_writers_told(served: Server, ledger: Ledger) -> None:
    async with await Connection.open(served.address) as connection:
        refused = await connection.post(f"{ledger.path}/events", {"type": "tick", "payload": "never"})
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["content-type"] == "application/problem+json"
        assert "disk" in refused.json()["detail"]
        assert (await connection.get(f"{ledger.path}/events?limit=10")).status == 200
