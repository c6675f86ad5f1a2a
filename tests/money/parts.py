"""A till on a real storage, and calls as tests make them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from agentops import EventSettings
from agentops.core.errors import TooManyRequests
from agentops.core.eventlog import EventLog
from agentops.core.records import now_ms
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.money.purses import of_credits, whose_credits
from agentops.money.records import CallRecord
from agentops.money.till import Till
from agentops.money.wants import Want
from agentops.plugins.bus.memory import Memory
from tests.core.parts import Kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentops.core.ports.storage import Storage

BUDGET = "key:k:day"
CREDITS = of_credits("p", "u")
NO_ROOM = "the budget is used up"


@dataclass(frozen=True, slots=True)
class Shop:
    """A till that is up, and what it stands on."""

    till: Till
    events: EventLog
    storage: Storage[Any]
    told: Kept

    async def purse(self, purse: str = BUDGET) -> tuple[int, int, int, int]:
        """Its period, its size, what is spent of it and what is held."""
        rows = await self.storage.read_rows("SELECT period, size, spent, held FROM purses WHERE id = ?", purse)
        return tuple(rows[0])

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.storage.read_rows(query)]

    async def assert_idle(self) -> None:
        """Nothing is held, and all credits are what the ledger says."""
        assert await self.rows("SELECT * FROM holds") == []
        assert await self.rows("SELECT id FROM purses WHERE held <> 0") == []
        for purse, size, spent in await self.rows("SELECT id, size, spent FROM purses"):
            whose = whose_credits(purse)
            if whose is not None:
                (total,) = await self.storage.read_rows(
                    "SELECT sum(amount) FROM ledger WHERE project = ? AND subject = ?", *whose
                )
                assert int(total[0] or 0) == size - spent


@asynccontextmanager
async def open_shop(storage: Storage[Any], hold_seconds: float = 60.0, **options: Any) -> AsyncIterator[Shop]:
    signals, told = Signals(), Kept()
    events = EventLog(storage, Memory(), signals, EventSettings())
    till = Till(storage, events, signals, hold_seconds, **options)
    async with storage.life(Rungs(signals=signals)):
        with signals.told_to(told):
            async with events.life(), till.life():
                yield Shop(till, events, storage, told)


def want(amount: int, size: int | None = 100, purse: str = BUDGET, period: int = 1, **more: Any) -> Want:
    return Want(purse, period, amount, size, partial(TooManyRequests, NO_ROOM, code="budget_used_up"), **more)


def a_record(call: str, cost: int = 0, **more: Any) -> CallRecord:
    record = CallRecord(
        id=call,
        at=now_ms(),
        project="p",
        subject="u",
        credential="key:k",
        api="chat",
        model="m",
        provider="fake",
        target="m-1",
        outcome="ok",
        input=10,
        cached=2,
        written=3,
        output=4,
        estimated=False,
        cost=cost,
        own_key=False,
        tries=1,
        first_ms=None,
        ms=5,
        run="run",
    )
    return record._replace(**more)
