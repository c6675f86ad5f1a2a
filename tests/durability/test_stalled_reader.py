"""A reader that stops reading: others do not notice, memory stays bounded, it is cut off, and it loses nothing."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import pytest

from agentops.core.config.settings import EventSettings
from tests.durability.apps import Plan
from tests.durability.census import census, settled
from tests.durability.ledger import Follower, at_work
from tests.durability.processes import server
from tests.durability.wire import CUT, Connection, stalled_reader

if TYPE_CHECKING:
    from tests.durability.apps import Database
    from tests.durability.wire import Address

STALLED: Final = 20
ARRAY: Final = [{"type": "tick", "payload": "x" * 20_000}] * 100
STALL_SECONDS: Final = 3.0
MEGABYTE: Final = 1024 * 1024
STREAM: Final = "/api/runs/r/stream"
EVENTS: Final = "/api/runs/r/events"


async def test_stalled_readers_cost_nobody_anything_and_are_cut_off(sqlite: Database) -> None:
    with server(Plan(sqlite, EventSettings(retention=0, stall_seconds=STALL_SECONDS))) as served:
        await served.up()
        reading = Follower(served.address, STREAM, "0")
        async with AsyncExitStack() as stack, at_work(reading):
            stalled = [
                await stack.enter_async_context(await stalled_reader(served.address, STREAM)) for _ in range(STALLED)
            ]
            before = await census(served.address)

            await _post_arrays(served.address, reading, 8)
            blocked = await census(served.address)
            assert blocked.rss - before.rss < STALLED * 5 * MEGABYTE
            await _post_arrays(served.address, reading, 16)
            still_blocked = await census(served.address)
            assert still_blocked.streams == before.streams == STALLED + 1
            assert still_blocked.rss - blocked.rss < STALLED * 2 * MEGABYTE, "what they do not read is held for them"

            began = time.monotonic()
            delays = await _delays(served.address, reading, count=300)
            assert sorted(delays)[-3] < 0.25
            after = await settled(served.address, lambda counted: counted.streams == 1)
            assert time.monotonic() - began < STALL_SECONDS + 1.5
            assert after.sockets == before.sockets - STALLED
            assert after.tasks <= before.tasks - 2 * STALLED

            resumed = await _what_lay_in_its_buffers(served.address, stalled[0])
            assert 0 < len(resumed.frames) < len(reading.frames)
            async with at_work(resumed):
                await resumed.has(int(reading.frames[-1].id))
    assert [frame.id for frame in resumed.frames] == [frame.id for frame in reading.frames]


def test_a_blocked_write_is_given_five_seconds() -> None:
    assert EventSettings().stall_seconds == 5


async def _post_arrays(address: Address, reading: Follower, count: int) -> None:
    """Far more than the kernel's buffers of a connection hold."""
    async with await Connection.open(address) as connection:
        for _ in range(count):
            answer = await connection.post(EVENTS, ARRAY)
            await reading.has(int(answer.json()["last"]))


async def _delays(address: Address, reading: Follower, count: int) -> list[float]:
    """How long each of so many events is on its way from one client to another."""
    delays: list[float] = []
    async with await Connection.open(address) as connection:
        for _ in range(count):
            began = time.perf_counter()
            answer = await connection.post(EVENTS, {"type": "tick"})
            await reading.has(int(answer.json()["id"]))
            delays.append(time.perf_counter() - began)
    return delays


async def _what_lay_in_its_buffers(address: Address, stalled: Connection) -> Follower:
    follower = Follower(address, STREAM, "0")
    stalled.read_on()
    try:
        async for frame in stalled.frames():
            follower.take(frame)
    except CUT:
        return follower
    pytest.fail("the stream was ended as if it were whole")
