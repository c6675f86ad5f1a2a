"""Both storages, and the services on them, each test on a database of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops.accounts.keys import Keys
from agentops.accounts.sessions import Sessions
from agentops.accounts.throttle import Throttle
from agentops.accounts.users import Users
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.sqlite import Sqlite
from tests.accounts.parts import ANYTHING, ORIGIN, cheap_hashes, new_user, wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from agentops.accounts.keys import Key
    from agentops.accounts.users import User
    from agentops.core.ports.storage import Storage

__all__ = ["cheap_hashes"]


@pytest.fixture(params=["sqlite", "postgres"])
def unstarted(request: pytest.FixtureRequest, tmp_path: Path) -> Storage[Any]:
    if request.param == "sqlite":
        return Sqlite(path=str(tmp_path / "agentops.sqlite"))
    return Postgres(url=Secret(request.getfixturevalue("postgres_url")))


@pytest_asyncio.fixture
async def storage(unstarted: Storage[Any]) -> AsyncIterator[Storage[Any]]:
    async with unstarted.life(Rungs()):
        yield unstarted


@pytest.fixture
def keys(storage: Storage[Any]) -> Keys:
    return Keys(storage, "uc_")


@pytest_asyncio.fixture
async def key(keys: Keys) -> Key:
    """One of alice's."""
    made, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    return made


@pytest.fixture
def users(storage: Storage[Any]) -> Users:
    return Users(storage)


@pytest_asyncio.fixture
async def alice(users: Users) -> User:
    return await users.add(ORIGIN, new_user("alice"), {"*"})


@pytest.fixture
def make_sessions(storage: Storage[Any]) -> Callable[..., Sessions]:
    def make(*, grace_seconds: int = 30, by_account: int = 1000, by_address: int = 1000) -> Sessions:
        return Sessions(
            storage,
            days=7,
            grace_seconds=grace_seconds,
            by_account=Throttle(by_account, 60),
            by_address=Throttle(by_address, 60),
        )

    return make


@pytest.fixture
def sessions(make_sessions: Callable[..., Sessions]) -> Sessions:
    return make_sessions()
