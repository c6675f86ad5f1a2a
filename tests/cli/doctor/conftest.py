"""A folder with a deployment, and the database of one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.cli.doctor.asking import CONFIG, SECRET, migrated, run_sql, sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Folder


@pytest.fixture
def folder(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """One that nobody finds fault with."""
    monkeypatch.setenv("TEST_KEY", SECRET)
    (folder.path / "deployment.toml").write_text(CONFIG)
    folder.path.chmod(0o700)
    return folder


@pytest.fixture
def on_postgres(folder: Folder) -> Callable[[str], None]:
    def write(url: str) -> None:
        config = CONFIG.replace('use = "sqlite"', 'use = "postgres"')
        (folder.path / "deployment.toml").write_text(config.replace('path = "events.sqlite"', f"url = '{url}'"))

    return write


@pytest.fixture(params=["sqlite", "postgres"])
def change(request: pytest.FixtureRequest, folder: Folder, on_postgres: Callable[[str], None]) -> Callable[[str], None]:
    """Runs a statement in the database of the deployment, which is migrated."""
    if request.param == "sqlite":
        path = asyncio.run(migrated(folder))
        return lambda statement: sql(path, statement)
    url = request.getfixturevalue("postgres_url")
    on_postgres(url)
    return lambda statement: run_sql(url, statement)
