"""SQLite keeps the storage contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops.plugins.storage.sqlite import Sqlite, SqliteSettings
from agentops.testing.storage import StorageContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestSqlite(StorageContract):
    @pytest.fixture
    def make_storage(self, tmp_path: Path) -> Callable[[], Sqlite]:
        settings = SqliteSettings(path=str(tmp_path / "agentops.sqlite"))
        return lambda: Sqlite(settings)
