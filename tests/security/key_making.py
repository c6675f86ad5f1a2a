"""Makes keys as the service does, and as somebody who knows a part of one; storages that count what they are asked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from sqlalchemy import text, update

from agentops.accounts.audit import Origin
from agentops.accounts.key_text import CHECKSUM_DIGITS, DIGITS, LOOKUP_DIGITS, _checksum, make_key
from agentops.accounts.keys import Keys
from agentops.accounts.users import NewUser, Users
from agentops.accounts.wanted_key import Granter, Wanted
from agentops.core.identity import Identity
from agentops.core.ports.auth import Caller
from agentops.core.ports.storage import Storage
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.core.signals import Signals
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.sqlite import Sqlite
from agentops.sql.tables import keys
from agentops.testing.auth import verdict
from tests.core.parts import Kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.keys import Key
    from agentops.accounts.users import User
    from agentops.core.allowance import Allowance

PREFIX: Final = "ak_"
ORIGIN: Final = Origin("p", "boss")
ANYTHING: Final = Granter({"*"}, {"runs:read", "runs:write", "probe:read", "agents:read"})


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every hash that a secret was compared with, from here on; the comparison is argon2's own."""
    compared: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, stored: str | bytes, secret: str | bytes) -> Literal[True]:
        compared.append(str(stored))
        return verify(self, stored, secret)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    return compared


@pytest.fixture
def make_storage(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], CountedStorage]:
    return storages(engine, request, tmp_path)


@pytest_asyncio.fixture
async def storage(make_storage: Callable[[], CountedStorage]) -> AsyncIterator[CountedStorage]:
    storage = make_storage()
    async with storage.life(Rungs()):
        yield storage


@pytest.fixture
def told() -> Kept:
    return Kept()


@pytest_asyncio.fixture
async def authenticator(storage: CountedStorage, told: Kept) -> AsyncIterator[HashedKeys]:
    async with started(storage, told) as it:
        yield it


async def user(
    storage: Storage[Any], name: str = "ada", role: str = "developer", project: str = ORIGIN.project
) -> User:
    new = NewUser(name, f"{name}@example.org", "correct horse", role)
    return await Users(storage).add(ORIGIN._replace(project=project), new, {"*"})


async def made(
    storage: Storage[Any],
    owner: str = "ada",
    *,
    permissions: Sequence[str] = ("runs:*",),
    networks: Sequence[str] = (),
    project: str = ORIGIN.project,
    prefix: str = PREFIX,
    llm: Allowance | None = None,
) -> tuple[Key, str]:
    """A new key and its text."""
    wanted = Wanted(owner, "test", 90, permissions, networks, llm=llm)
    return await Keys(storage, prefix).create(ORIGIN._replace(project=project), wanted, ANYTHING)


def caller(credential: str, peer: str | None = "127.0.0.1") -> Caller:
    return Caller([(b"authorization", b"Bearer " + credential.encode())], peer)


def secret_of(credential: str) -> str:
    return credential[-DIGITS + LOOKUP_DIGITS : -CHECKSUM_DIGITS]


def with_other_secret(credential: str) -> str:
    """A key that names the same row, with a secret that was guessed and the checksum for it."""
    known = credential[: -DIGITS + LOOKUP_DIGITS]
    return with_checksum(known + make_key("")[LOOKUP_DIGITS:-CHECKSUM_DIGITS])


def with_checksum(body: str) -> str:
    return body + _checksum(body)


async def change_key(storage: Storage[Any], key_id: str, **values: object) -> None:
    """Change its row behind everybody's back, so that time need not pass."""
    async with storage.write() as connection:
        await connection.execute(update(keys).where(keys.c.id == key_id).values(values))


async def last_used(storage: Storage[Any], key_id: str) -> int | None:
    async with storage.read() as connection:
        found = await connection.execute(text("SELECT last_used_at FROM keys WHERE id = :id"), {"id": key_id})
        at: int | None = found.scalar_one()
        return at


class CountedStorage(Storage[Any]):
    """Counts how often it is asked for anything."""

    asked = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        self.asked += 1
        async with super().read() as connection:  # type: ignore[safe-super]
            yield connection

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        self.asked += 1
        return await super().read_rows(query, *values)  # type: ignore[safe-super]


class CountedSqlite(CountedStorage, Sqlite):
    pass


class CountedPostgres(CountedStorage, Postgres):
    pass


def storages(
    engine: str, request: pytest.FixtureRequest, folder: Path
) -> Callable[[], CountedSqlite | CountedPostgres]:
    """A function that makes storages on one new database."""
    if engine == "sqlite":
        path = str(folder / "agentops.sqlite")
        return lambda: CountedSqlite(path=path)
    url = Secret(request.getfixturevalue("postgres_url"))
    return lambda: CountedPostgres(url=url, pool_size=4)


@asynccontextmanager
async def started(storage: Storage[Any], told: Kept | None = None, **settings: Any) -> AsyncIterator[HashedKeys]:
    """An authenticator on this storage, as a kit would start it."""
    authenticator, signals = HashedKeys(**settings), Signals()
    with signals.told_to(told or Kept()):
        async with authenticator.life(Rungs(storage=storage, signals=signals)):
            yield authenticator


async def lets_in(authenticator: HashedKeys, credential: str, peer: str | None = "127.0.0.1") -> bool:
    return isinstance(await verdict(authenticator, caller(credential, peer)), Identity)
