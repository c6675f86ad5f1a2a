"""What is Postgres' alone: an address that is wrong, a server that goes away and comes back, and its limits."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from agentops.core.errors import StartError, Unavailable
from agentops.core.ports.storage import Append, Appended, PageQuery, Statement
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres, PostgresSettings, _append
from agentops.plugins.storage.postgres._writer import LOCKS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

END_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def some(run: str = "run", count: int = 1) -> Append:
    return Append("p", run, [NewEvent('{"ts":1}')] * count)


def a_postgres(url: str, **values: Any) -> Postgres:
    return Postgres(PostgresSettings(url=Secret(url), **values))


async def statement(url: str, sql: str) -> None:
    connection: Any = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def count_of(storage: Postgres, run: str = "run") -> int:
    return len((await storage.page(PageQuery("p", run, 0, 100_000, 10**9))).events)


@pytest.fixture
async def storage(postgres_url: str) -> AsyncIterator[Postgres]:
    storage = a_postgres(postgres_url, statement_timeout_seconds=0.5)
    async with storage.life(Rungs()):
        yield storage


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
async def test_each_way_to_write_the_scheme_is_taken(postgres_url: str, scheme: str) -> None:
    storage = a_postgres(postgres_url.replace("postgresql", scheme, 1))
    assert list(storage.check()) == []
    async with storage.life(Rungs()):
        assert await storage.last_id() == 0


def test_another_database_is_a_problem() -> None:
    (problem,) = a_postgres("mysql://root:hunter2@localhost/x").check()
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://me:hunter2@127.0.0.1:1/things", ["127.0.0.1", "1", "things"]),
        ("postgresql://me:hunter2@127.0.0.1:port/things", ["url"]),
        ("postgresql://me:hunter2@name.invalid/things", ["name.invalid", "5432", "things"]),
        ("postgresql://me:hunter2@hunter2@name.invalid/things", ["name.invalid"]),
        ("postgresql://name.invalid/things#hunter2", ["name.invalid"]),
    ],
    ids=["nobody-there", "no-number", "no-such-host", "two-ats", "fragment"],
)
async def test_a_server_that_is_not_there_is_named_without_the_password(url: str, named: list[str]) -> None:
    with pytest.raises(StartError) as refused:
        await a_postgres(url).life(Rungs()).__aenter__()
    assert all(word in str(refused.value) for word in named)
    assert "hunter2" not in str(refused.value)


async def test_a_database_that_is_not_there_is_named(postgres_url: str) -> None:
    with pytest.raises(StartError, match="no_such_database"):
        await a_postgres(postgres_url.replace("/test_", "/no_such_database_")).life(Rungs()).__aenter__()


async def test_lost_connections_are_made_again(storage: Postgres, postgres_url: str) -> None:
    await storage.append([some()])
    await storage.create_run("p", "other", "title", "running")
    await statement(postgres_url, END_ALL)
    await storage_is_back(storage)
    assert await count_of(storage) == 2
    async with storage.write() as connection:
        await connection.exec_driver_sql("SELECT 1")


async def storage_is_back(storage: Postgres) -> None:
    """A loss may be noticed by the first append after it, which is then refused and not stored."""
    async with asyncio.timeout(10):
        while True:
            try:
                (appended,) = await storage.append([some()])
            except Unavailable:
                continue
            assert isinstance(appended, Appended)
            return


async def test_a_connection_lost_in_the_middle_stores_nothing(storage: Postgres, postgres_url: str) -> None:
    async with run_is_locked(postgres_url):
        waiting = asyncio.create_task(storage.append([some()]))
        await is_waiting(postgres_url)
        await statement(postgres_url, f"{END_ALL} AND pid IN (SELECT pid FROM pg_locks WHERE NOT granted)")
        with pytest.raises(Unavailable):
            await waiting
    await storage_is_back(storage)
    assert await count_of(storage) == 1


async def test_an_append_does_not_wait_for_ever(storage: Postgres, postgres_url: str) -> None:
    async with run_is_locked(postgres_url):
        with pytest.raises(Unavailable):
            await storage.append([some(), some("other")])
    await storage.append([some()])
    assert (await count_of(storage), await count_of(storage, "other")) == (1, 0)


async def test_very_many_runs_are_stored_in_parts_and_each_part_is_answered_for(
    storage: Postgres, postgres_url: str
) -> None:
    batch = [*(some(f"run-{number}") for number in range(LOCKS_AT_ONCE)), some("other"), some()]
    async with run_is_locked(postgres_url):
        answers = await storage.append(batch)
    assert [isinstance(answer, Appended) for answer in answers] == [True] * LOCKS_AT_ONCE + [False] * 2
    assert all(isinstance(answer, Unavailable) for answer in answers[LOCKS_AT_ONCE:])
    assert (await count_of(storage, "run-0"), await count_of(storage, "other")) == (1, 0)


async def test_commits_wait_for_the_disk_whatever_the_server_says(postgres_url: str) -> None:
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    await statement(postgres_url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    storage = a_postgres(postgres_url)
    async with storage.life(Rungs()):
        assert await storage._writer._connection.fetchval("SHOW synchronous_commit") == "on"
        async with storage.write() as connection:
            assert (await connection.exec_driver_sql("SHOW synchronous_commit")).scalar_one() == "on"


async def test_a_name_too_long_for_an_index_is_refused_alone(storage: Postgres) -> None:
    letters = random.Random(1)
    long = "".join(chr(letters.randrange(0x4E00, 0x9F00)) for _ in range(9000))
    before, refused, after = await storage.append([some(), some(long), some()])
    assert isinstance(before, Appended)
    assert not isinstance(refused, Appended)
    assert refused.status == 413
    assert isinstance(after, Appended)
    assert await count_of(storage) == 2


async def test_an_append_tells_that_it_waited_for_another_instance(storage: Postgres, postgres_url: str) -> None:
    async with run_is_locked(postgres_url):
        waiting = asyncio.create_task(storage.append([some()]))
        await is_waiting(postgres_url)
    ((late,), (alone,)) = (await waiting, await storage.append([some()]))
    assert isinstance(late, Appended)
    assert isinstance(alone, Appended)
    assert (late.waited, alone.waited) == (True, False)


class run_is_locked:  # noqa: N801  used as a context manager, it reads as a clause
    """Another instance is in the middle of an append to the run."""

    def __init__(self, url: str) -> None:
        self.other = a_postgres(url)

    async def __aenter__(self) -> None:
        self.life = self.other.life(Rungs())
        await self.life.__aenter__()
        lock = _append.lock_of((some().project, some().run))
        await self.other._writer._connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({lock})")

    async def __aexit__(self, *_: object) -> None:
        await self.other._writer._connection.execute("ROLLBACK")
        await self.life.__aexit__(None, None, None)


async def is_waiting(url: str) -> None:
    connection: Any = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(10):
            while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                pass
    finally:
        await connection.close()


async def test_what_need_not_last_does_not_wait_for_the_disk(storage: Postgres) -> None:
    look = Statement("SELECT current_setting('synchronous_commit')", ())
    lasting, soft = Append("", "", (), None, [look]), Append("", "", (), None, [look], lasting=False)
    for batch, expected in (([soft], "off"), ([soft, lasting], "on"), ([soft, soft], "off"), ([lasting], "on")):
        for each in await storage.append(batch):
            assert isinstance(each, Appended)
            assert [tuple(row) for row in each.rows] == [(expected,)]
