"""Whoever sleeps is woken by what is new, whichever way this process learns of it first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agentops import EventSettings
from agentops.core.ports.bus import Ring
from agentops.core.ports.storage import Append
from tests.core.eventlog.faulty import PROJECT, event, read
from tests.core.parts import until

if TYPE_CHECKING:
    from tests.core.eventlog.conftest import Start

NO_POLL = EventSettings(poll_seconds=3600, heartbeat_seconds=3600)


async def test_a_page_that_one_stream_reads_wakes_the_others(start: Start) -> None:
    async with start(NO_POLL) as log:
        (first,) = await log.add("r", "a")
        sleeper = await log.events.follow(PROJECT, "r", first)
        assert sleeper.at_hand() == b": connected\n\n"
        waiting = asyncio.create_task(read(sleeper, 1))
        await until(lambda: sleeper in sleeper.topic._sleepers)
        await log.storage.append([Append(PROJECT, "r", [event("b")])])
        reader = await log.events.follow(PROJECT, "r", first)
        assert reader.at_hand() == b": connected\n\n"
        async with asyncio.timeout(2):
            assert await read(reader, 1) == await waiting
        sleeper.close()
        reader.close()


async def test_a_page_read_before_the_bell_does_not_answer_for_what_came_after(start: Start) -> None:
    async with start(NO_POLL) as log:
        (first,) = await log.add("r", "a")
        early = await log.events.follow(PROJECT, "r", first)
        assert early.at_hand() == b": connected\n\n"
        waiting = asyncio.create_task(read(early, 1))
        await until(lambda: early in early.topic._sleepers)
        await log.storage.append([Append(PROJECT, "r", [event("b")])])
        log.bus.ring(Ring(PROJECT, "r", first + 1))
        late = await log.events.follow(PROJECT, "r", first)
        assert late.at_hand() == b": connected\n\n"
        async with asyncio.timeout(2):
            assert await read(late, 1) == await waiting
        early.close()
        late.close()
