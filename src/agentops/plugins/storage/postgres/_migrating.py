"""Brings the schema up to date; an advisory lock lets only one instance do it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import StartError
from agentops.sql.migrating import as_known, at_head, is_unknown, upgrade
from agentops.sql.migrations import SERVED_SINCE, STORED_REVISION, VERSION_TABLE

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.sql.postgres_server import Server

ATTEMPTS: Final = 10
LOCK_SECONDS: Final = 3
"""Whoever comes after a migration that waits for a table waits too: it steps aside, and tries again."""
IN_THE_WAY: Final = (
    "Somebody used the tables all the while: `agentops doctor` names long transactions; end them, and try again"
)
LOCK: Final = 0x6167656E746F7073
"""The word `agentops`, as a number that no other program is likely to lock."""


async def stored_revision(connection: Any) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", VERSION_TABLE) is None:
        return None
    revision: str | None = await connection.fetchval(STORED_REVISION)
    if revision is not None and is_unknown(revision):
        return as_known(revision, await connection.fetchval(SERVED_SINCE))
    return revision


async def migrate(server: Server) -> None:
    """In a thread with a loop of its own: alembic blocks, and other migrations must not run in between."""
    await asyncio.to_thread(lambda: asyncio.run(_migrate(server)))


async def _migrate(server: Server) -> None:
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    engine = create_async_engine("postgresql+asyncpg://", async_creator=server.connect_patiently, poolclass=NullPool)
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with engine.begin() as connection:
                    await _upgrade(connection)
            except DBAPIError as error:
                if attempt == ATTEMPTS or not _was_in_the_way(error):
                    raise
            else:
                return
    except DBAPIError as error:
        remedy = f". {IN_THE_WAY}" if _was_in_the_way(error) else ""
        raise StartError(
            f"the migration of {server.place} failed and nothing was changed: {error.orig}{remedy}"
        ) from error
    finally:
        await engine.dispose()


async def _upgrade(connection: AsyncConnection) -> None:
    await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    driver = (await connection.get_raw_connection()).driver_connection
    if not at_head(await stored_revision(driver)):
        await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        await connection.run_sync(upgrade)


def _was_in_the_way(error: DBAPIError) -> bool:
    """Somebody uses the tables meanwhile: each had what the other wanted, or it was not given free in time."""
    return getattr(error.orig, "sqlstate", None) in {"40P01", "55P03"}
