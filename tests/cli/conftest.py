"""A folder to run commands in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.accounts import Accounts, accounts_on
from tests.cli.running import CONFIG, Folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "deployment.toml").write_text(CONFIG)
    return Folder(tmp_path)


@pytest.fixture
def accounts(folder: Folder, request: pytest.FixtureRequest) -> Accounts:
    """A deployment that takes keys, on SQLite unless a test names the engine."""
    return accounts_on(getattr(request, "param", "sqlite"), folder, request)
