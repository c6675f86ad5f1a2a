"""The bus over Postgres keeps the contract of buses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops import Secret
from agentops.plugins.bus.postgres import Postgres
from agentops.testing.bus import BusContract

if TYPE_CHECKING:
    from collections.abc import Callable


class TestPostgres(BusContract):
    @pytest.fixture
    def make_bus(self, fresh_postgres_url: str) -> Callable[[], Postgres]:
        return lambda: Postgres(url=Secret(fresh_postgres_url))
