"""Why the Postgres feed goes by transaction: simpler ways are put in its place, and lose events or turn them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.ports.storage import Append, Appended
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres, PostgresSettings, _append, _reads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

NAIVE_FEED = """
    SELECT '0', r.name, e.id, e.body FROM events e JOIN runs r ON r.pk = e.run
    WHERE e.project = (SELECT pk FROM projects WHERE name = $1) AND $2 = '0' AND e.id > $3 AND $5 > 0
    ORDER BY e.id LIMIT $4
"""
EARLY_NUMBER = "SELECT pg_current_xact_id()"


def one(run: str) -> Append:
    return Append("p", run, [NewEvent(f'{{"of":"{run}"}}')])


class HeldAppend:
    """An append of the real kind, held open between its statements as a slow instance would."""

    def __init__(self, connection: Any, batch: Sequence[Append]) -> None:
        self.connection = connection
        self.batch = batch

    async def lock(self) -> None:
        await self.connection.execute("BEGIN")
        for append in self.batch:
            lock = _append.lock_of((append.project, append.run))
            await self.connection.execute("SELECT pg_advisory_xact_lock($1)", lock)

    async def store(self) -> list[int]:
        stored = await _append.store(self.connection, self.batch)
        return [event for appended in stored if isinstance(appended, Appended) for event in appended.ids]

    async def commit(self) -> None:
        await self.connection.execute("COMMIT")


@asynccontextmanager
async def two_instances(url: str) -> AsyncGenerator[tuple[Postgres, Any]]:
    """One storage in use, and the writer's connection of another."""
    settings = PostgresSettings(url=Secret(url))
    async with AsyncExitStack() as stack:
        storage, other = Postgres(settings), Postgres(settings)
        await stack.enter_async_context(storage.life(Rungs()))
        await stack.enter_async_context(other.life(Rungs()))
        yield storage, other._writer._connection


async def appended_ids(storage: Postgres, *batch: Append) -> list[int]:
    answers = await storage.append(batch)
    return [event for answer in answers if isinstance(answer, Appended) for event in answer.ids]


async def read_around_a_late_commit(url: str) -> tuple[list[int], list[int]]:
    """What a reader by cursor sees, and what was stored, when the lower id is committed after the higher one."""
    async with two_instances(url) as (storage, connection):
        await appended_ids(storage, one("quick"), one("slow"))
        start = (await storage.feed("p", None, 100, 100_000))[-1].cursor
        late = HeldAppend(connection, [one("slow")])
        await late.lock()
        (low,) = await late.store()
        (high,) = await appended_ids(storage, one("quick"))
        assert low < high
        before = await storage.feed("p", start, 100, 100_000)
        await late.commit()
        after = await storage.feed("p", before[-1].cursor if before else start, 100, 100_000)
        return [item.event.id for item in [*before, *after]], [low, high]


async def read_after_a_wait_for_a_run(url: str) -> tuple[list[int], list[int]]:
    """The feed of a run, and its ids as committed, when an append of two runs waited for another append of one."""
    async with two_instances(url) as (storage, connection):
        await appended_ids(storage, one("a"), one("b"))
        start = await storage.feed_end("p")
        first = HeldAppend(connection, [one("b")])
        await first.lock()
        waiting = asyncio.create_task(appended_ids(storage, one("a"), one("b")))
        await is_waiting_for_a_lock(storage)
        (low,) = await first.store()
        await first.commit()
        _, high = await waiting
        items = await storage.feed("p", start, 100, 100_000)
        return [item.event.id for item in items if item.run == "b"], [low, high]


async def is_waiting_for_a_lock(storage: Postgres) -> None:
    async with asyncio.timeout(10), storage.read() as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not (await connection.exec_driver_sql(waiting)).scalar_one():
            pass


async def test_a_late_commit_of_a_lower_id_is_not_missed(postgres_url: str) -> None:
    seen, stored = await read_around_a_late_commit(postgres_url)
    assert sorted(seen) == stored


async def test_reading_by_id_alone_misses_it(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reads, "_FEED", NAIVE_FEED)
    monkeypatch.setattr(_reads.Position, "cursor", property(lambda position: str(position.id)))
    monkeypatch.setattr(_reads, "_POSITION", "SELECT '0', $2::bigint WHERE $1 <> ''")
    seen, (low, high) = await read_around_a_late_commit(postgres_url)
    assert seen == [high]
    assert low not in seen


async def test_an_append_that_waits_for_a_run_does_not_turn_its_order(postgres_url: str) -> None:
    seen, stored = await read_after_a_wait_for_a_run(postgres_url)
    assert seen == stored


async def test_a_transaction_numbered_before_it_waits_turns_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = f"({EARLY_NUMBER} OFFSET 0) AS number (given)"
    monkeypatch.setattr(
        _append,
        "STORE",
        _append.STORE.replace("SELECT * FROM ", f"SELECT stored.* FROM {early}, ")
        + " AS stored WHERE given IS NOT NULL",
    )
    seen, stored = await read_after_a_wait_for_a_run(postgres_url)
    assert seen == stored[::-1]
