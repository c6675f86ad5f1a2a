"""Buses between processes when there is no way: nothing waits for it, it is told once, and heard again afterwards."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops import Secret
from agentops.core import remote_bus
from agentops.core.ports.bus import Ring
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.bus.postgres import Postgres
from agentops.plugins.bus.redis import Redis
from agentops.testing.bus import Ear
from tests.core.parts import Kept, until
from tests.durability.own_postgres import own_postgres_in
from tests.durability.own_redis import OwnRedis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from agentops.core.remote_bus import RemoteBus
    from tests.conftest import PostgresServer
    from tests.durability.own_postgres import OwnPostgres

    Make = Callable[[], RemoteBus[Any]]


@asynccontextmanager
async def living(bus: RemoteBus[Any], told: Kept) -> AsyncIterator[RemoteBus[Any]]:
    signals = Signals()
    with signals.told_to(told):
        async with bus.life(Rungs(signals=signals)):
            yield bus


async def hears(bus: RemoteBus[Any], ear: Ear, run: str) -> None:
    """Ring until it is heard: what is rung before there is a way again may be lost."""
    for upto in range(1, 200):
        bus.ring(Ring("p", run, upto))
        await asyncio.sleep(0.05)
        if any(ring.run == run for ring in ear.heard):
            return
    raise AssertionError(f"nobody heard of {run}")


async def test_redis_may_die_and_come_back(tmp_path: Path) -> None:
    redis, told, ear = OwnRedis(tmp_path), Kept(), Ear()
    async with living(Redis(url=Secret(redis.url)), told) as one, living(Redis(url=Secret(redis.url)), Kept()) as two:
        two.listen(ear)
        for number in range(3):
            assert (await one.health()).status == "degraded"
            one.ring(Ring("p", "while it is away", number))
            with redis.running():
                await hears(one, ear, f"run{number}")
                assert (await one.health()).status == "healthy"
            await until(lambda: not one.is_linked)
    assert [name for name, _, _ in told.events] == ["bus.lost", *["bus.linked", "bus.lost"] * 3]


async def test_a_redis_that_hangs_is_noticed(tmp_path: Path) -> None:
    redis, told = OwnRedis(tmp_path), Kept()
    with redis.running() as process:
        await until(redis.answers)
        async with living(Redis(url=Secret(redis.url), timeout_seconds=0.2), told) as bus:
            process.send_signal(signal.SIGSTOP)
            bus.ring(Ring("p", "run", 1))
            await until(lambda: told.named("bus.lost"))
            began = time.monotonic()
        assert time.monotonic() - began < 1


@pytest.fixture
def own_postgres(postgres_server: PostgresServer, server_folder: Path) -> Iterator[OwnPostgres]:
    with own_postgres_in(server_folder / "bus") as own:
        yield own


async def test_postgres_may_die_and_come_back(own_postgres: OwnPostgres) -> None:
    url, told, ear = Secret(own_postgres.url), Kept(), Ear()
    async with living(Postgres(url=url), told) as one, living(Postgres(url=url), Kept()) as two:
        two.listen(ear)
        await hears(one, ear, "before")
        await asyncio.to_thread(own_postgres.crash)
        await until(lambda: told.named("bus.lost"))
        await asyncio.to_thread(own_postgres.start)
        await hears(one, ear, "after")
    assert [name for name, _, _ in told.events] == ["bus.linked", "bus.lost", "bus.linked"]


async def test_a_start_does_not_wait_for_a_bus_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_bus, "FIRST_LINK_SECONDS", 0.1)
    told, own = Kept(), Ear()
    async with living(Redis(url=Secret(OwnRedis(tmp_path).url)), told) as bus:
        bus.listen(own)
        bus.ring(Ring("p", "run", 1))
        assert own.heard == [Ring("p", "run", 1)]
    assert [(name, level) for name, level, _ in told.events] == [("bus.lost", "warning")]


async def test_what_somebody_else_says_on_the_channel_is_passed_over(redis_url: str) -> None:
    from redis.asyncio import Redis as Client

    told, ear = Kept(), Ear()
    async with living(Redis(url=Secret(redis_url), channel="strangers"), told) as bus:
        bus.listen(ear)
        async with Client.from_url(redis_url) as client:
            for said in (b"", b"hello", b'["x"]', b'["x",[["p","r"]]]', b"\xff", b'["x",[["p","r",7]]]'):
                await client.publish("strangers", said)
        await ear.hears(Ring("p", "r", 7))
    assert ear.heard == [Ring("p", "r", 7)]
    assert len(told.named("bus.misunderstood")) == 5
