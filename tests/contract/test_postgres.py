"""Postgres keeps the storage contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres, PostgresSettings
from agentops.testing.storage import StorageContract

if TYPE_CHECKING:
    from collections.abc import Callable


class TestPostgres(StorageContract):
    @pytest.fixture
    def make_storage(self, postgres_url: str) -> Callable[[], Postgres]:
        settings = PostgresSettings(url=Secret(postgres_url), pool_size=4)
        return lambda: Postgres(settings)
