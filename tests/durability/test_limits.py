"""A limit of 100 is one of 100 for all processes together; and a Redis that dies under load fails no request."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Literal

import pytest

from tests.core.parts import until
from tests.durability.apps import Database, Plan
from tests.durability.own_redis import OwnRedis
from tests.durability.processes import server
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.wire import Address

LIMIT: Final = 100
PROCESSES: Final = 4


async def test_four_processes_let_exactly_a_hundred_pass(tmp_path: Path, redis_url: str) -> None:
    plans = [
        Plan(Database("sqlite", str(tmp_path / f"{number}.sqlite")), limited_by=f"{redis_url}?db=7")
        for number in range(PROCESSES)
    ]
    with ExitStack() as stack:
        servers = [stack.enter_context(server(plan)) for plan in plans]
        for served in servers:
            served.start()
        asked = await asyncio.gather(*(_asked(served.address, LIMIT) for served in servers for _ in range(2)))
    assert Counter(status for statuses, _ in asked for status in statuses) == {
        200: LIMIT,
        429: (2 * PROCESSES - 1) * LIMIT,
    }


@pytest.mark.parametrize(("when_down", "then"), [("open", 200), ("closed", 503)])
async def test_a_redis_that_dies_and_comes_back(
    tmp_path: Path, sqlite: Database, when_down: Literal["open", "closed"], then: int
) -> None:
    redis = OwnRedis(tmp_path)
    with server(Plan(sqlite, limited_by=redis.url, when_down=when_down)) as served:
        served.start()
        for _ in range(2):
            with redis.running():
                await until(redis.answers)
                asked = asyncio.create_task(_asked(served.address, 400))
                assert await _answer(served.address) in {200, 429}
            statuses, slowest = await asked
            assert set(statuses) <= {200, 429, then}
            assert slowest < 2
            assert await _answer(served.address) == then
        with redis.running():
            await until(redis.answers)
            assert Counter((await _asked(served.address, 2 * LIMIT))[0]) == {200: LIMIT, 429: LIMIT}


async def _asked(address: Address, times: int) -> tuple[list[int], float]:
    """The answers, one after the other, and how long the slowest took."""
    statuses, slowest = list[int](), 0.0
    async with await Connection.open(address) as connection:
        for _ in range(times):
            began = time.monotonic()
            statuses.append((await connection.get("/api/runs")).status)
            slowest = max(slowest, time.monotonic() - began)
    return statuses, slowest


async def _answer(address: Address) -> int:
    return (await _asked(address, 1))[0][0]
