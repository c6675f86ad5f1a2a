"""The parts of `events` on Postgres: made as ids come to their end, and dropped whole."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from agentops.core.errors import Unavailable
from agentops.core.ports.storage import Append, Appended, PageQuery
from agentops.core.records import NewEvent, now_ms
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres, _parts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

SIZE = 10


@asynccontextmanager
async def a_storage(url: str) -> AsyncGenerator[Postgres]:
    storage = Postgres(url=Secret(url), part_events=SIZE)
    async with storage.life(Rungs()):
        yield storage


async def near_the_end_of_a_part(url: str) -> int:
    """Let the first part end five ids from now; return where."""
    connection: Any = await asyncpg.connect(url)
    try:
        end = (await _parts.parts(connection))[-1].end
        await connection.execute(f"SELECT setval('events_id', {end - 6})")
    finally:
        await connection.close()
    return end


async def append(storage: Postgres, run: str, *keys: str | None) -> Sequence[int]:
    (answer,) = await storage.append([Append("p", run, [NewEvent("{}", key) for key in keys])])
    assert isinstance(answer, Appended)
    return answer.ids


async def parts_of(storage: Postgres) -> Sequence[_parts.Part]:
    async with storage._pool.driver() as connection:
        return await _parts.parts(connection)


async def test_an_append_makes_the_part_it_needs(postgres_url: str) -> None:
    async with a_storage(postgres_url) as storage:
        end = await near_the_end_of_a_part(postgres_url)
        ids = [*await append(storage, "run", *[None] * 3), *await append(storage, "run", *[None] * 30)]
        page = await storage.page(PageQuery("p", "run", 0, 100, 100_000))
        assert [event.id for event in page.events] == ids
        assert ids[0] < end <= ids[-1]
        assert [item.event.id for item in await storage.feed("p", None, 100, 100_000)] == ids
        parts = await parts_of(storage)
        assert [part.first for part in parts[1:]] == [part.end for part in parts[:-1]]
        assert parts[-1].end > ids[-1]


async def test_a_key_is_known_in_a_part_before(postgres_url: str) -> None:
    async with a_storage(postgres_url) as storage:
        end = await near_the_end_of_a_part(postgres_url)
        before = await append(storage, "run", "a", "b", "c")
        behind = await append(storage, "run", "d", "e", "f", "g")
        assert before[-1] < end <= behind[-1]
        assert await append(storage, "run", "a", "g", "new", "new") == [
            before[0],
            behind[-1],
            behind[-1] + 1,
            behind[-1] + 1,
        ]


async def test_instances_that_need_a_part_at_once_make_it_once(postgres_url: str) -> None:
    async with a_storage(postgres_url) as one, a_storage(postgres_url) as two:
        await near_the_end_of_a_part(postgres_url)
        answers = await asyncio.gather(
            *(append(each, f"run-{n}", *[None] * 4) for n in range(5) for each in (one, two))
        )
        assert len({id_ for ids in answers for id_ in ids}) == 40


async def test_old_parts_are_dropped_and_not_emptied(postgres_url: str) -> None:
    async with a_storage(postgres_url) as storage:
        await append(storage, "run", *[None] * 25)
        old = await parts_of(storage)
        async with asyncio.timeout(10):
            while not await storage.forget(1):
                continue
        left = await parts_of(storage)
        assert old[0] not in left
        (young,) = await append(storage, "run", None)
        assert young >= left[0].first
        rows = await storage.read_rows("SELECT count(*), min(id) FROM events")
        assert list(map(tuple, rows)) == [(1, young)]


async def test_a_reader_who_holds_a_part_is_waited_for_shortly(postgres_url: str) -> None:
    """A drop that waited would hold up every append that comes after it; it is tried again later."""
    reader: Any = await asyncpg.connect(postgres_url)
    async with a_storage(postgres_url) as storage:
        await append(storage, "run", None)
        reading = reader.transaction()
        await reading.start()
        await reader.fetch("SELECT count(*) FROM events")
        async with asyncio.timeout(20):
            with pytest.raises(Unavailable):
                await _forgetting(storage)
        await append(storage, "run", None)
        await reading.rollback()
        async with asyncio.timeout(10):
            while [part for part in await parts_of(storage) if part.name == "events_0"]:
                await storage.forget(1)
    await reader.close()


async def test_a_mark_is_no_older_than_what_it_stands_behind(postgres_url: str) -> None:
    """Another instance may drop a large part for long; what is stored meanwhile must not be taken for older."""
    other: Any = await asyncpg.connect(postgres_url)
    await other.execute(f"SELECT pg_advisory_lock({_parts.UPKEEP_LOCK})")
    async with a_storage(postgres_url) as storage:
        marking = asyncio.ensure_future(storage.forget(1))
        async with asyncio.timeout(10):
            while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                continue
        await append(storage, "run", None)
        stored_at = now_ms()
        await other.close()
        await marking
        ((marked_at,),) = await storage.read_rows("SELECT at FROM marks")
        assert marked_at >= stored_at


async def test_where_nothing_is_appended_old_parts_go_once_and_no_new_ones_come(postgres_url: str) -> None:
    async with a_storage(postgres_url) as storage:
        await append(storage, "run", *[None] * 25)
        async with asyncio.timeout(10):
            while not await storage.forget(1):
                continue
        left = await parts_of(storage)
        for _ in range(5):
            assert await storage.forget(1) == 0
        assert await parts_of(storage) == left
        assert await append(storage, "run", None) == [left[0].first]


async def test_instances_that_look_at_once_begin_one_part(postgres_url: str) -> None:
    async with a_storage(postgres_url) as one, a_storage(postgres_url) as two:
        await append(one, "run", None)
        await asyncio.gather(one.forget(3_600_000), two.forget(3_600_000))
        rows = await one.read_rows("SELECT upto FROM marks")
        assert len(rows) == 1
        (behind,) = await append(two, "run", None)
        assert rows[0][0] < behind <= rows[0][0] + SIZE


async def test_what_was_counted_before_its_part_could_be_dropped_is_not_counted_again(postgres_url: str) -> None:
    reader: Any = await asyncpg.connect(postgres_url)
    async with a_storage(postgres_url) as storage:
        await append(storage, "run", *[None] * 3)
        reading = reader.transaction()
        await reading.start()
        await reader.fetch("SELECT count(*) FROM events")
        async with asyncio.timeout(20):
            with pytest.raises(Unavailable):
                await _forgetting(storage)
        await append(storage, "run", None, None)
        assert await storage.prune("p", "run", 1) == 4
        assert [tuple(row) for row in await storage.read_rows("SELECT event_count, pruned_count FROM runs")] == [(5, 4)]
        await reading.rollback()
    await reader.close()


async def _forgetting(storage: Postgres) -> None:
    while True:
        await storage.forget(1)
