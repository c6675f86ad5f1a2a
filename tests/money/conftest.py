"""Shops on each storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres, PostgresSettings
from agentops.plugins.storage.sqlite import Sqlite, SqliteSettings
from tests.money.parts import Shop, open_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from agentops.core.ports.storage import Storage


@pytest.fixture(params=["sqlite", "postgres"])
def make_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage[Any]]:
    """Makes storages that all stand on one database."""
    if request.param == "sqlite":
        settings = SqliteSettings(path=str(tmp_path / "agentops.sqlite"))
        return lambda: Sqlite(settings)
    url = Secret(request.getfixturevalue("postgres_url"))
    return lambda: Postgres(PostgresSettings(url=url, pool_size=4))


@pytest.fixture
async def shop(make_storage: Callable[[], Storage[Any]]) -> AsyncIterator[Shop]:
    async with open_shop(make_storage()) as it:
        yield it
