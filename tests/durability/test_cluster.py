"""Three instances on one Postgres, while they die, the bus is cut and the database crashes: nothing is lost.

The short form runs with all other tests; `make soak` runs the long one, by what it says in the environment.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.core.parts import until
from tests.durability.apps import Database, Plan
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by
from tests.durability.own_postgres import own_postgres_in
from tests.durability.own_redis import OwnRedis
from tests.durability.processes import server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.durability.own_postgres import OwnPostgres
    from tests.durability.processes import Server
    from tests.durability.wire import Address

INSTANCES: Final = 3
SECONDS: Final = float(os.environ.get("SOAK_SECONDS", "8"))
RUNS: Final = int(os.environ.get("SOAK_RUNS", "12"))
STREAMS: Final = int(os.environ.get("SOAK_STREAMS", "12"))
PRODUCERS: Final = 2 * RUNS
"""So each run is written through two instances at once."""
SEED: Final = int(os.environ.get("SOAK_SEED", "0")) or SystemRandom().getrandbits(32)

_CUT: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE (query LIKE '%pg_notify%' OR query LIKE 'LISTEN%') AND pid <> pg_backend_pid()
"""


class Cluster(NamedTuple):
    """What an accident can happen to."""

    instances: list[Server]
    postgres: OwnPostgres
    redis: OwnRedis | None
    chance: Random

    async def accident(self) -> None:
        happens = self.chance.choice([self.kill_one, self.kill_one, self.crash_postgres, self.cut_the_bus, self.flush])
        await happens()

    async def kill_one(self) -> None:
        victim = self.chance.choice(self.instances)
        victim.kill()
        await asyncio.sleep(self.chance.random() * 0.3)
        victim.start()

    async def crash_postgres(self) -> None:
        await asyncio.to_thread(self.postgres.crash)
        await asyncio.sleep(self.chance.random() * 0.5)
        await asyncio.to_thread(self.postgres.start)

    async def cut_the_bus(self) -> None:
        if self.redis is not None:
            self.redis.kill()
            await asyncio.sleep(self.chance.random())
            self.redis.start()
            await until(self.redis.answers)
        else:
            await self.postgres.run(_CUT)

    async def flush(self) -> None:
        if self.redis is not None:
            self.redis.flush()


@pytest.fixture
def own_postgres(bus: str, postgres_server: PostgresServer, server_folder: Path) -> Iterator[OwnPostgres]:
    with own_postgres_in(server_folder / f"cluster-{bus}") as own:
        yield own


@pytest.mark.parametrize("bus", ["redis", "postgres"])
async def test_nothing_is_lost_between_instances(bus: str, own_postgres: OwnPostgres, tmp_path: Path) -> None:
    print(f"to have the same again: SOAK_SEED={SEED}")  # noqa: T201 - pytest shows it only when the test fails
    chance = Random(SEED)
    redis = OwnRedis(tmp_path) if bus == "redis" else None
    with ExitStack() as stack:
        if redis is not None:
            stack.enter_context(redis.running())
            await until(redis.answers)
        plan = Plan(Database("postgres", own_postgres.url), bus=redis.url if redis else own_postgres.url)
        cluster = Cluster([stack.enter_context(server(plan)) for _ in range(INSTANCES)], own_postgres, redis, chance)
        for instance in cluster.instances:
            await instance.up()
        addresses = [instance.address for instance in cluster.instances]
        ledgers = [Ledger(f"run-{number}") for number in range(RUNS)]
        followers = [
            Follower(here, f"{ledgers[number % RUNS].path}/stream", "0", *others)
            for number, (here, *others) in _turned(addresses, STREAMS)
        ]
        producers = [
            Producer(f"p{number}", here, ledgers[number % RUNS], Random(SEED + number), *others, unsure=True)
            for number, (here, *others) in _turned(addresses, PRODUCERS)
        ]
        async with at_work(*followers):
            async with at_work(*producers):
                until_then = asyncio.get_running_loop().time() + SECONDS
                while asyncio.get_running_loop().time() < until_then:
                    await asyncio.sleep(chance.random())
                    await cluster.accident()
                await ledgers[0].grows()
            stored = [await events_of(addresses[0], ledger) for ledger in ledgers]
            for number, follower in enumerate(followers):
                await follower.has(stored[number % RUNS][-1][0])
    for ledger, events in zip(ledgers, stored, strict=True):
        ledger.verify(events)
    for number, follower in enumerate(followers):
        assert seen_by(follower) == stored[number % RUNS]


def _turned(addresses: list[Address], times: int) -> Iterator[tuple[int, list[Address]]]:
    """So many times, each time beginning with the next of them."""
    for number in range(times):
        first = number % len(addresses)
        yield number, [*addresses[first:], *addresses[:first]]
