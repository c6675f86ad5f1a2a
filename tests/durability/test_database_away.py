"""A database that is locked, cut off or stopped: 503 meanwhile, and it goes on by itself when it is back."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.durability.apps import Database, Plan
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by
from tests.durability.own_postgres import own_postgres_in
from tests.durability.processes import server
from tests.durability.test_overload import held_by_another_process
from tests.durability.wire import Connection, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.durability.own_postgres import OwnPostgres
    from tests.durability.processes import Server


async def test_a_start_waits_for_whoever_holds_the_database(sqlite: Database) -> None:
    with server(Plan(sqlite)) as served:
        with held_by_another_process(sqlite):
            served.start()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(served.answers(), 0.5)
        await served.answers()


async def test_a_start_is_given_up_when_the_database_stays_held(sqlite: Database) -> None:
    with server(Plan(sqlite), soon_tired_of_waiting) as served:
        with held_by_another_process(sqlite):
            served.start()
            assert await served.ended(within=5) not in (None, 0)
        await served.up()


async def test_writers_are_refused_and_readers_served_while_the_database_is_held(sqlite: Database) -> None:
    ledger = Ledger("r")
    with server(Plan(sqlite), soon_tired_of_waiting) as served:
        await served.up()
        async with at_work(Producer("p", served.address, ledger, Random(1))):
            await ledger.grows()
            with held_by_another_process(sqlite):
                async with await Connection.open(served.address) as connection:
                    refused = await connection.post("/api/runs/r/events", {"type": "tick"})
                    assert refused.status == 503
                    assert int(refused.headers["retry-after"]) >= 1
                    assert "another process" in refused.json()["message"]
                    assert (await connection.get("/api/runs/r/events")).status == 200
            await ledger.grows()
        stored = await events_of(served.address, ledger)
    ledger.verify(stored)


@pytest.fixture
def own_postgres(postgres_server: PostgresServer, server_folder: Path) -> Iterator[OwnPostgres]:
    with own_postgres_in(server_folder / "own") as own:
        yield own


async def test_postgres_may_crash_and_come_back(own_postgres: OwnPostgres) -> None:
    async def crash(served: Server) -> None:
        await asyncio.to_thread(own_postgres.crash)
        await _nothing_works(served)
        await asyncio.to_thread(own_postgres.start)

    await _survives(Database("postgres", own_postgres.url), crash, times=2)


async def test_connections_may_be_cut(postgres: Database, postgres_server: PostgresServer) -> None:
    name = postgres.place.rpartition("/")[2].partition("?")[0]
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

    async def cut_connections(_served: Server) -> None:
        await asyncio.to_thread(postgres_server.run, cut)

    await _survives(postgres, cut_connections)


async def _survives(database: Database, accident: Callable[[Server], Awaitable[None]], times: int = 3) -> None:
    ledger = Ledger("r")
    with server(Plan(database)) as served:
        await served.up()
        pid = served.pid
        follower = Follower(served.address, f"{ledger.path}/stream", "0")
        feed = Follower(served.address, "/api/stream")
        async with at_work(feed):
            await feed.until(lambda it: it.connections > 0)
            async with at_work(follower):
                producers = [
                    Producer(f"p{number}", served.address, ledger, Random(number), unsure=True) for number in range(4)
                ]
                async with at_work(*producers):
                    for _ in range(times):
                        await ledger.grows(by=50)
                        await accident(served)
                    await ledger.grows(by=50)
                stored = await events_of(served.address, ledger)
                await follower.has(stored[-1][0])
            await feed.until(lambda it: len(it.frames) >= len(stored))
        assert served.pid == pid
    ledger.verify(stored)
    assert seen_by(follower) == stored
    assert seen_by(feed) == stored


async def _nothing_works(served: Server) -> None:
    async with await Connection.open(served.address) as connection:
        for answer in (
            await connection.post("/api/runs/r/events", {"type": "tick"}),
            await connection.get("/api/runs/r/events"),
            await connection.get("/api/runs"),
        ):
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"] == "unavailable"
        with pytest.raises(Refused, match="503"):
            await anext(connection.follow("/api/runs/r/stream"))


def soon_tired_of_waiting() -> None:
    """What takes ten seconds with the default, in less."""
    from agentops.plugins.storage.sqlite import _connections

    _connections.BUSY_SECONDS = 0.3  # type: ignore[misc]
