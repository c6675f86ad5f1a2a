"""The limiters keep the contract; Redis is away, comes back, forgets, and its clock is set back."""

from __future__ import annotations

import itertools
import signal
import time
from typing import TYPE_CHECKING, Final

import pytest
from redis.asyncio import from_url

from agentops.core.errors import Unavailable
from agentops.core.ports.limiter import Rate
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.limiter.memory import Memory
from agentops.plugins.limiter.redis import Redis
from agentops.testing.limiter import HOUR, LimiterContract
from tests.core.parts import until
from tests.durability.own_redis import OwnRedis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_numbers: Final = itertools.count()


class TestMemory(LimiterContract):
    @pytest.fixture
    def make_limiter(self) -> Callable[[], Memory]:
        return Memory


class TestRedis(LimiterContract):
    @pytest.fixture
    def make_limiter(self, redis_url: str) -> Callable[[], Redis]:
        prefix = f"test{next(_numbers)}:"
        return lambda: Redis(url=Secret(redis_url), prefix=prefix)


async def test_memory_forgets_who_came_longest_ago() -> None:
    limiter, once = Memory(keys_most=2), [Rate(1, HOUR)]
    async with limiter.life(Rungs()):
        for key in "abac":
            await limiter.hit(key, once)
        assert [(await limiter.hit(key, once)).allowed for key in "acb"] == [False, False, True]


async def test_what_redis_counted_does_not_stay_for_ever(redis_url: str) -> None:
    limiter = Redis(url=Secret(redis_url), prefix="gone:")
    client = from_url(redis_url)
    async with limiter.life(Rungs()), client:
        await limiter.hit("a", [Rate(10, 30), Rate(10, 600)])
        assert 600 < await client.ttl("gone:a") <= 1200
        assert len(await client.hgetall("gone:a")) == 2


async def test_a_clock_that_was_set_back_shuts_nobody_out(redis_url: str) -> None:
    limiter = Redis(url=Secret(redis_url), prefix="clock:")
    client = from_url(redis_url)
    async with limiter.life(Rungs()), client:
        ahead = int((time.time() + HOUR) / 1)
        await client.hset("clock:a", f"60:{ahead}", 100)
        assert (await limiter.hit("a", [Rate(100, 60)])).allowed
        assert f"60:{ahead}".encode() not in await client.hgetall("clock:a")


async def test_redis_may_be_away_and_come_back(tmp_path: Path) -> None:
    server, once = OwnRedis(tmp_path), [Rate(1, HOUR)]
    limiter = Redis(url=Secret(server.url), timeout_seconds=0.5)
    async with limiter.life(Rungs()):
        for _ in range(3):
            with pytest.raises(Unavailable, match="cannot be counted") as raised:
                await limiter.hit("a", once)
            assert raised.value.code == "limiter_unavailable"
            with server.running():
                await until(server.answers)
                assert [(await limiter.hit("a", once)).allowed for _ in range(2)] == [True, False]


async def test_a_redis_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    server, once = OwnRedis(tmp_path), [Rate(1, HOUR)]
    limiter = Redis(url=Secret(server.url), timeout_seconds=0.2)
    with server.running() as process:
        await until(server.answers)
        async with limiter.life(Rungs()):
            assert (await limiter.hit("a", once)).allowed
            process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await limiter.hit("a", once)
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("url", ["localhost:6379", "http://x"])
def test_what_is_no_address_of_a_redis_is_a_problem(url: str) -> None:
    (problem,) = Redis(url=Secret(url)).check()
    assert problem.key == "url"
    assert url not in str(problem)
