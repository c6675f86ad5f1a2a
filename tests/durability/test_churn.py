"""Ten thousand readers that leave in the middle of subscribing: nothing of them stays behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.durability.apps import Plan
from tests.durability.census import settled
from tests.durability.ledger import Follower, Ledger, Producer, at_work
from tests.durability.processes import server
from tests.durability.wire import CUT, Connection

if TYPE_CHECKING:
    from random import Random

    from tests.durability.apps import Database
    from tests.durability.wire import Address

READERS: Final = 10_000
AT_ONCE: Final = 50
PATHS: Final = [*(f"/api/runs/{run}/stream" for run in ("busy", "a", "b", "c")), "/api/stream"]
MEGABYTE: Final = 1024 * 1024


async def test_ten_thousand_readers_that_leave_cost_nothing(sqlite: Database, chance: Random) -> None:
    ledger = Ledger("busy")
    with server(Plan(sqlite)) as served:
        await served.up()
        staying = Follower(served.address, f"{ledger.path}/stream", "0")
        async with at_work(staying):
            await staying.until(lambda it: it.connections == 1)
            await _come_and_go(served.address, READERS // 10, chance)
            before = await settled(served.address, lambda counted: counted.streams == 1)
            async with at_work(Producer("p", served.address, ledger, chance)):
                await _come_and_go(served.address, READERS, chance)
            after = await settled(
                served.address, lambda it: it.streams == 1 and it.sockets <= before.sockets and it.tasks <= before.tasks
            )
            await staying.has(ledger.newest)
    assert (after.runs, after.feeds, after.sleepers) == (1, 0, 1)
    assert after.rss - before.rss < 16 * MEGABYTE
    assert staying.connections == 1


async def _come_and_go(address: Address, readers: int, chance: Random) -> None:
    left = iter(range(readers))

    async def one_after_another() -> None:
        for _ in left:
            await _subscribe_and_leave(address, chance)

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


async def _subscribe_and_leave(address: Address, chance: Random) -> None:
    """Leave after a part of the request, after the whole, or once the stream is open; politely or not."""
    path = chance.choice(PATHS)
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n".encode()
    async with await Connection.open(address) as connection:
        whole = chance.random() < 0.6
        connection.send(request if whole else request[: chance.randrange(len(request))])
        if whole and chance.random() < 0.5:
            try:
                await connection.frame()
            except CUT:
                raise AssertionError("a stream was not opened") from None
        if chance.random() < 0.5:
            connection.reset()
