"""What the tests of accounts have in common: who asks, what is stored, and ways to get in each other's way."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import pytest
from argon2 import PasswordHasher
from sqlalchemy import insert, select, text, update

from agentops.accounts import hashing
from agentops.accounts.audit import Origin
from agentops.accounts.users import NewUser
from agentops.accounts.wanted_key import Granter, Wanted
from agentops.core.errors import Refusal
from agentops.core.ports.storage import Storage
from agentops.plugins.storage.sqlite import Sqlite
from agentops.sql.tables import audit, metadata
from tests.core.parts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence

    from sqlalchemy import Table

AnyStorage: TypeAlias = Storage[Any]
T = TypeVar("T")

ORIGIN = Origin("p", "boss", "key:1", "admin", "192.0.2.1", "request-1")
REGISTRY = frozenset({"runs:read", "runs:write", "keys:own"})
ANYTHING = Granter({"*"}, REGISTRY)
PASSWORD = "correct horse battery staple"

UNSTORABLE = {"nul": "a\0b", "surrogate": "a\udc80b"}
HOSTILE = {**UNSTORABLE, "10-kb": "x" * 10_240, "empty": "", "white-space": " \t\n"}


def wanted(
    owner: str = "alice", name: str = "ci", *, days: int = 90, permissions: Sequence[str] = ("runs:read",)
) -> Wanted:
    return Wanted(owner, name, days, permissions)


def new_user(username: str = "alice", email: str | None = None, role: str = "user") -> NewUser:
    return NewUser(username, email or f"{username}@example.org", PASSWORD, role)


def said(refusal: Refusal) -> tuple[object, ...]:
    """All of a refusal that its receiver can see."""
    return type(refusal), refusal.status, refusal.code, refusal.message, refusal.hint, refusal.param, refusal.headers


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that make many, and in which it does not matter what one costs."""
    monkeypatch.setattr(hashing, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


async def rows(storage: AnyStorage, table: Table) -> list[dict[str, Any]]:
    """Every row, in the order of the first column."""
    async with storage.read() as connection:
        query = select(table).order_by(next(iter(table.columns)))
        return [dict(row) for row in (await connection.execute(query)).mappings()]


async def everything(storage: AnyStorage) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    return {table.name: await rows(storage, table) for table in metadata.sorted_tables}


async def trail(storage: AnyStorage) -> list[tuple[str, str, str]]:
    """What was done on what and how it ended, oldest first."""
    return [(row["action"], row["target"], row["outcome"]) for row in await rows(storage, audit)]


async def change(storage: AnyStorage, table: Table, **values: object) -> None:
    """Change every row of a table behind the back of the services, so that time need not pass."""
    async with storage.write() as connection:
        await connection.execute(update(table).values(values))


async def add(storage: AnyStorage, table: Table, *new: Mapping[str, object]) -> None:
    async with storage.write() as connection:
        await connection.execute(insert(table), [dict(row) for row in new])


async def refuse_audit(storage: AnyStorage) -> None:
    """From here on no row can be added to the trail: the database reports a broken constraint."""
    if isinstance(storage, Sqlite):
        statements = ["CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'refused'); END"]
    else:
        raising = "BEGIN RAISE check_violation USING MESSAGE = 'refused'; END"
        statements = [
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS '{raising.replace(chr(39), chr(39) * 2)}'",
            "CREATE TRIGGER refuse BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION refuse()",
        ]
    async with storage.write() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def together(storage: AnyStorage, table: Table, *calls: Coroutine[Any, Any, T]) -> list[T | BaseException]:
    """Run the calls at once: each comes as far as the rows of this table before the first of them may change any.

    They come there in the order in which they are given.
    """
    tasks: list[asyncio.Task[T]] = []
    async with storage.write() as connection:
        await connection.execute(select(table).with_for_update())
        for call in calls:
            tasks.append(asyncio.create_task(call))
            await _waiting(storage, tasks)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def _waiting(storage: AnyStorage, tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Return once all that did not end wait for the one who holds the rows; a database tells nobody who waits."""
    async with asyncio.timeout(20):
        while await _waiters(storage) + sum(task.done() for task in tasks) < len(tasks):  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def _waiters(storage: AnyStorage) -> int:
    if isinstance(storage, Sqlite):
        return len(storage._writing._waiters or ())
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with storage.read() as connection:
        return int((await connection.execute(text(query))).scalar_one())


@asynccontextmanager
async def hashing_held() -> AsyncIterator[None]:
    """Inside, no hash begins; those that are asked for wait."""
    go = threading.Event()
    for _ in range(hashing.THREADS):
        hashing._pool.submit(go.wait)
    try:
        await hashes_wait(0)
        yield
    finally:
        go.set()


async def hashes_wait(number: int) -> None:
    """Return once so many hashes are asked for and none of them has begun."""
    await until(lambda: hashing._pool._work_queue.qsize() == number)
