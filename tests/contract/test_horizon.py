"""A transaction of somebody else that does not end holds the feed: it waits, it is told, and nothing is skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from agentops import Secret
from agentops.core.ports.storage import Append, Appended
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.storage.postgres import Postgres, _horizon
from tests.core.parts import Kept, until

if TYPE_CHECKING:
    from collections.abc import Sequence


def held(told: Kept) -> Sequence[float]:
    return [value for _, name, value, _ in told.figures if name == "feed.held_seconds"]


async def one_more(storage: Postgres) -> int:
    (appended,) = await storage.append([Append("p", "r", [NewEvent("{}")])])
    assert isinstance(appended, Appended)
    return appended.ids[0]


async def test_the_feed_waits_and_says_so(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_horizon, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(_horizon, "HELD_SECONDS", 0.2)
    told, signals = Kept(), Signals()
    storage = Postgres(url=Secret(postgres_url))
    stranger: Any = await asyncpg.connect(postgres_url)
    with signals.told_to(told):
        async with storage.life(Rungs(signals=signals)):
            await until(lambda: held(told))
            assert held(told)[-1] == 0
            start = await storage.feed_end("p")
            holding = stranger.transaction()
            await holding.start()
            await stranger.execute("SELECT pg_current_xact_id()")
            ids = [await one_more(storage) for _ in range(3)]
            await until(lambda: told.named("feed.held"))
            assert held(told)[-1] >= 0.2
            assert list(await storage.feed("p", start, 10, 1_000_000)) == []
            await holding.rollback()
            await until(lambda: told.named("feed.goes_on"))
            assert [item.event.id for item in await storage.feed("p", start, 10, 1_000_000)] == ids
    await stranger.close()
    assert told.only("feed.held")[0] == "warning"
