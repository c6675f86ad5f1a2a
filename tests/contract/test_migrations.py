"""Migrations: run once by whoever comes first, and refused where the schema is not what this program knows."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import warnings
from contextlib import closing
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import SAWarning

from agentops.core.errors import StartError
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres, PostgresSettings
from agentops.plugins.storage.postgres import _migrating as _postgres_migrating
from agentops.plugins.storage.sqlite import Sqlite, SqliteSettings, _migrating
from agentops.sql.migrating import HEAD, upgrade
from agentops.sql.migrations import REVISIONS, STORED_REVISION, VERSION_TABLE
from agentops.sql.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from agentops.core.ports.storage import Storage

    Make = Callable[[bool], Storage[Any]]


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes storages, migrating or not, on a database in which there is nothing yet."""
    if request.param == "sqlite":
        path = str(tmp_path / "agentops.sqlite")
        return lambda migrate: Sqlite(SqliteSettings(path=path, migrate=migrate))
    url = Secret(request.getfixturevalue("fresh_postgres_url"))
    return lambda migrate: Postgres(PostgresSettings(url=url, migrate=migrate))


async def set_revision(storage: Storage[Any], revision: str, served_since: str) -> None:
    async with storage.life(Rungs()), storage.write() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :new"), {"new": revision})
        await connection.execute(text("UPDATE agentops_served_since SET revision = :old"), {"old": served_since})


async def test_eight_may_migrate_a_new_database_at_once(make: Make) -> None:
    await asyncio.gather(*(make(True).migrate() for _ in range(8)))
    storage = make(False)
    async with storage.life(Rungs()), storage.read() as connection:
        assert (await connection.execute(text(STORED_REVISION))).scalars().all() == [HEAD]


async def test_eight_may_start_on_a_new_database_at_once(make: Make) -> None:
    async def start() -> None:
        async with make(True).life(Rungs()):
            pass

    await asyncio.gather(*(start() for _ in range(8)))


async def test_without_migrate_a_new_database_is_refused(make: Make) -> None:
    with pytest.raises(StartError, match="agentops migrate"):
        await make(False).life(Rungs()).__aenter__()


async def test_without_migrate_a_migrated_database_is_taken(make: Make) -> None:
    await make(False).migrate()
    async with make(False).life(Rungs()) as started:
        assert started is not None


@pytest.mark.parametrize("migrate", [True, False], ids=["migrate", "no-migrate"])
async def test_a_database_of_a_newer_program_is_refused(make: Make, migrate: bool) -> None:
    await set_revision(make(True), "9999", served_since="9998")
    with pytest.raises(StartError, match="newer version"):
        await make(migrate).life(Rungs()).__aenter__()


@pytest.mark.parametrize("migrate", [True, False], ids=["migrate", "no-migrate"])
async def test_a_newer_schema_that_still_serves_this_program_is_taken(make: Make, migrate: bool) -> None:
    """So an instance that restarts in the middle of an upgrade comes up again."""
    await set_revision(make(True), "9999", served_since=HEAD)
    storage = make(migrate)
    async with storage.life(Rungs()), storage.read() as connection:
        assert (await connection.execute(text(STORED_REVISION))).scalars().all() == ["9999"]


async def test_a_failed_migration_changes_nothing_and_says_so(make: Make) -> None:
    await make(True).migrate()
    broken = make(True)
    async with broken.life(Rungs()), broken.write() as connection:
        await connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))
    with pytest.raises(StartError, match="already exists"):
        await make(True).migrate()


async def test_the_tables_that_queries_see_are_those_that_migrations_make(make: Make) -> None:
    storage = make(True)

    def columns(connection: Connection) -> dict[str, dict[str, bool]]:
        warnings.filterwarnings("ignore", "Did not recognize type 'xid8'", SAWarning)
        found = inspect(connection)
        return {
            name: {str(column["name"]): bool(column["nullable"]) for column in found.get_columns(name)}
            for name in found.get_table_names()
            if name != VERSION_TABLE
        }

    async with storage.life(Rungs()), storage.read() as connection:
        made = await connection.run_sync(columns)
    del made["agentops_served_since"]
    if "epochs" in made:
        del made["epochs"], made["events_0"], made["events"]["xid"], made["runs"]["first_id"]
    for name in made:
        made[name].pop("pk", None)
        made[name].pop("id", None)
    assert made == {
        table.name: {column.name: bool(column.nullable) for column in table.columns if not column.primary_key}
        for table in metadata.tables.values()
    }


def test_the_revisions_known_are_those_that_ship() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "agentops.sql:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(REVISIONS)
    assert scripts.get_current_head() == HEAD


async def test_processes_may_migrate_a_new_database_at_once(make: Make) -> None:
    script = program(make(True), "await storage.migrate()")
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", script) for _ in range(4)]
    assert [await process.wait() for process in processes] == [0] * 4
    async with make(False).life(Rungs()) as started:
        assert started is not None


async def test_a_sqlite_file_is_locked_while_it_migrates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "agentops.sqlite"
    tried = []

    def upgrade_and_try(connection: Connection) -> None:
        for step in (lambda _: None, upgrade):
            step(connection)
            with closing(sqlite3.connect(path, timeout=0)) as other, pytest.raises(sqlite3.OperationalError) as refused:
                other.execute("BEGIN IMMEDIATE")
            tried.append(str(refused.value))

    monkeypatch.setattr(_migrating, "upgrade", upgrade_and_try)
    await Sqlite(SqliteSettings(path=str(path))).migrate()
    assert tried == ["database is locked"] * 2


async def test_a_start_with_nothing_to_migrate_leaves_alembic_out(make: Make) -> None:
    await make(True).migrate()
    script = program(make(True), "async with storage.life(Rungs()): sys.exit('alembic' in sys.modules)")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 0


def program(storage: Storage[Any], statement: str) -> str:
    """A program that makes such a storage and does this with it."""
    name = type(storage).__name__
    if isinstance(storage, Sqlite):
        settings = f"path={storage.settings.path!r}"
    else:
        settings = f"url=Secret({storage.settings.url.reveal()!r})"
    return f"""
import asyncio, sys
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from {type(storage).__module__} import {name}, {name}Settings

async def main():
    storage = {name}({name}Settings({settings}))
    {statement}

asyncio.run(main())
"""


async def test_who_is_in_the_way_of_a_migration_is_to_be_looked_for(
    fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Postgres(url=Secret(fresh_postgres_url))
    await storage.migrate()
    monkeypatch.setattr(_postgres_migrating, "ATTEMPTS", 1)
    monkeypatch.setattr(_postgres_migrating, "LOCK_SECONDS", 1)
    stranger: Any = await asyncpg.connect(fresh_postgres_url)
    await stranger.execute("DROP TABLE marks, agentops_served_since; UPDATE agentops_revision SET version_num = '0004'")
    await stranger.execute("BEGIN; SELECT count(*) FROM events")
    with pytest.raises(StartError, match=r"nothing was changed.*`agentops doctor` names long transactions"):
        await storage.migrate()
    await stranger.close()
