"""`kill -9` while deliveries are made: whoever subscribed is told of everything, in order, once or once more."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Final

import pytest

from agentops.accounts.audit import Origin
from agentops.core.rungs import Rungs
from agentops.plugins.features.webhooks import courier, outbox
from agentops.plugins.features.webhooks.subscriptions import Subscriptions
from tests.durability.apps import Plan
from tests.durability.processes import server
from tests.durability.wire import CUT, Connection
from tests.webhooks.receiver import receiving

if TYPE_CHECKING:
    from random import Random

    from tests.durability.apps import Database
    from tests.durability.wire import Address

KILLS: Final = 25
RUNS: Final = 300


def _hurry() -> None:
    """A claim lapses, and what is due is looked for, much sooner than in earnest."""
    for_ever = pytest.MonkeyPatch()  # for as long as the server's process lives
    for_ever.setattr(outbox, "CLAIM_MS", 50)
    for_ever.setattr(courier, "LOOK_SECONDS", 0.01)


async def test_kills_lose_and_reorder_nothing(database: Database, chance: Random) -> None:
    async with receiving() as receiver:
        storage = database.opened()
        async with storage.life(Rungs()):
            await Subscriptions(storage).create(Origin("default", "ada"), receiver.url, ["run.failed"], "standard", "")
        with server(Plan(database, webhooks=True), prepare=_hurry) as served:
            receiver.holds.clear()
            await served.up()
            await _fail_runs(served.address, 0, RUNS - KILLS)
            receiver.holds.set()
            for number in range(RUNS - KILLS, RUNS):
                failing = asyncio.create_task(_fail_runs(served.address, number, number + 1))
                await receiver.has(len(receiver.received) + 1)
                await asyncio.sleep(chance.random() * 0.01)
                served.kill()
                served.start()
                await failing
            await receiver.told(RUNS)
    told = [got.json["data"]["run"] for got in receiver.received]
    assert [run for run, _ in groupby(told)] == [f"run{number}" for number in range(RUNS)]


async def _fail_runs(address: Address, first: int, behind: int) -> None:
    for number in range(first, behind):
        while not await _failed(address, f"run{number}"):
            pass


async def _failed(address: Address, run: str) -> bool:
    try:
        async with await Connection.open(address) as connection:
            answer = await connection.post("/api/runs", {"id": run, "status": "error"})
    except CUT:
        return False
    return answer.status in {200, 201}
