"""A primary that dies, hangs or may only be read, and a standby that takes its place: no restart is needed."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from agentops import Secret
from agentops.core.errors import StartError, Unavailable
from agentops.core.ports.storage import Append, Appended, PageQuery
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.plugins.storage.postgres import Postgres
from tests.durability.apps import Database, Plan
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by
from tests.durability.own_postgres import own_postgres_in
from tests.durability.processes import server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.durability.own_postgres import OwnPostgres, Standby


@pytest.fixture
def primary(
    postgres_server: PostgresServer, server_folder: Path, database_numbers: Iterator[int]
) -> Iterator[OwnPostgres]:
    with own_postgres_in(server_folder / f"f{next(database_numbers)}") as own:
        asyncio.run(Postgres(url=Secret(own.url)).migrate())
        yield own


@pytest.fixture
def standby(primary: OwnPostgres, server_folder: Path, database_numbers: Iterator[int]) -> Iterator[Standby]:
    with primary.followed(server_folder / f"g{next(database_numbers)}") as made:
        yield made


def either(primary: OwnPostgres, standby: Standby) -> str:
    folder = primary.url.rpartition("host=")[2]
    return f"postgresql://postgres:@/postgres?host={folder},{standby.folder}&target_session_attrs=read-write"


async def commits_wait_for_the_standby(primary: OwnPostgres) -> None:
    """Else what was acknowledged last may not have reached it."""
    await primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await primary.run("SELECT pg_reload_conf()")


async def test_a_standby_takes_over_and_nothing_acknowledged_is_lost(primary: OwnPostgres, standby: Standby) -> None:
    await commits_wait_for_the_standby(primary)
    ledger = Ledger("r")
    with server(Plan(Database("postgres", either(primary, standby)))) as served:
        await served.up()
        pid = served.pid
        follower = Follower(served.address, f"{ledger.path}/stream", "0")
        feed = Follower(served.address, "/api/stream", "0")
        producers = [Producer(f"p{number}", served.address, ledger, Random(number), unsure=True) for number in range(4)]
        async with at_work(follower, feed, *producers):
            await ledger.grows(by=50)
            await asyncio.to_thread(primary.crash)
            await producers[0].is_refused()
            await asyncio.to_thread(standby.promote)
            await ledger.grows(by=50)
            for producer in producers:
                producer.stopping = True
            stored = await events_of(served.address, ledger)
            await follower.has(stored[-1][0])
        stored = await events_of(served.address, ledger)
        assert served.pid == pid
    ledger.verify(stored)
    assert seen_by(follower) == stored[: len(follower.frames)]


def a_storage(url: str) -> Postgres:
    return Postgres(
        url=Secret(url),
        connect_timeout_seconds=1.0,
        statement_timeout_seconds=0.5,
        pool_size=2,
        pool_timeout_seconds=1.0,
    )


async def add(storage: Postgres) -> int:
    (answer,) = await storage.append([Append("p", "r", [NewEvent("{}")])])
    assert isinstance(answer, Appended)
    return answer.ids[0]


async def is_back(storage: Postgres) -> int:
    """Both the writer and the pool, on which a page, a run and a change of it go."""
    async with asyncio.timeout(20):
        while True:
            try:
                stored = await add(storage)
                await storage.update_run("p", "r", "title", None)
            except Unavailable:
                await asyncio.sleep(0.01)
            else:
                return stored


async def test_a_primary_that_hangs_does_not_hide_the_one_that_took_over(
    primary: OwnPostgres, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentops.sql import postgres_server

    monkeypatch.setattr(postgres_server, "COMMAND_GRACE", 0.1)
    storage = a_storage(either(primary, standby))
    async with storage.life(Rungs()):
        first = await add(storage)
        with primary.frozen():
            await asyncio.to_thread(standby.promote)
            last = await is_back(storage)
            events = (await storage.page(PageQuery("p", "r", 0, 10_000, 10**6))).events
            assert {first, last} <= {event.id for event in events}
            for _ in range(5):
                await storage.last_id()


async def test_a_connection_to_a_server_that_only_reads_is_given_up(primary: OwnPostgres, standby: Standby) -> None:
    storage = a_storage(either(primary, standby))
    async with storage.life(Rungs()):
        await add(storage)
        await storage.update_run("p", "r", "title", None)
        await asyncio.to_thread(standby.promote)
        await primary.run("ALTER SYSTEM SET default_transaction_read_only = on")
        await primary.run("SELECT pg_reload_conf()")
        async with asyncio.timeout(20):
            while await standby.ask("SELECT count(*) FROM events") < 2:
                await is_back(storage)
        assert (await storage.update_run("p", "r", "another", None)) is not None
        assert await standby.ask("SELECT title FROM runs") == "another"


async def test_a_start_with_nobody_to_write_to_says_so(primary: OwnPostgres, standby: Standby) -> None:
    folder = standby.folder
    url = f"postgresql://postgres:@/postgres?host={folder},{folder}/nowhere&target_session_attrs=read-write"
    with pytest.raises(StartError, match=r"cannot connect to Postgres at .*nowhere"):
        await a_storage(url).life(Rungs()).__aenter__()


async def test_a_name_that_leads_to_a_standby_is_waited_for_and_said(primary: OwnPostgres, standby: Standby) -> None:
    """As long as an address that moves points at a server that is not promoted yet."""
    with pytest.raises(Unavailable, match="is a standby"):
        await a_storage(standby.url).life(Rungs()).__aenter__()
