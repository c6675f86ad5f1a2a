"""`kill -9` in the middle of ingest: what was acknowledged is there once, and streams go on where they were."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.durability.apps import Plan
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by
from tests.durability.processes import server

if TYPE_CHECKING:
    from random import Random

    from tests.durability.apps import Database

KILLS: Final = 100


async def test_a_hundred_kills_lose_repeat_and_reorder_nothing(database: Database, chance: Random) -> None:
    with server(Plan(database)) as served:
        served.start()
        ledgers = [Ledger("first"), Ledger("second")]
        followers = [Follower(served.address, f"{ledger.path}/stream", "0") for ledger in ledgers]
        feed = Follower(served.address, "/api/stream")
        async with at_work(feed):
            await feed.until(lambda it: it.connections > 0)
            producers = [
                Producer(f"{ledger.path}-{number}", served.address, ledger, chance)
                for ledger in ledgers
                for number in range(2)
            ]
            async with at_work(*followers):
                async with at_work(*producers):
                    await feed.until(lambda it: bool(it.frames))
                    for _ in range(KILLS):
                        await _some_time_passes(ledgers[0], chance)
                        served.kill()
                        served.start()
                    await ledgers[0].grows()
                stored = [await events_of(served.address, ledger) for ledger in ledgers]
                for events, follower in zip(stored, followers, strict=True):
                    await follower.has(events[-1][0])
            await feed.until(lambda it: len(it.frames) >= sum(map(len, stored)))
    for ledger, events, follower in zip(ledgers, stored, followers, strict=True):
        ledger.verify(events)
        assert seen_by(follower) == events
        assert [event for event in seen_by(feed) if event in set(events)] == events
    assert len(feed.frames) == sum(map(len, stored))
    assert followers[0].connections > KILLS // 2
    assert database.is_intact()


async def _some_time_passes(ledger: Ledger, chance: Random) -> None:
    """Until something was stored and a moment longer; sometimes only a moment, to hit the start as well."""
    if chance.random() < 0.85:
        await ledger.grows(by=chance.randint(1, 30))
    await asyncio.sleep(chance.random() * 0.02)
