"""Takes a database for a copy, keeps how far it has come, and opens the database at its end.

What is kept is one row of a table that is there only while the copy is not whole. As long, the revision of the
schema is a word that no version of this program starts on, so nobody can serve a part for the whole.
"""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import asyncpg

from agentops.core.errors import Conflict, StartError
from agentops.core.records import now_ms
from agentops.plugins.storage.postgres._migrating import stored_revision
from agentops.sql.copying.order import APPENDED, EVERY
from agentops.sql.migrating import HEAD, require_head
from agentops.sql.migrations import COPYING, VERSION_TABLE
from agentops.sql.tables import marks

if TYPE_CHECKING:
    from agentops.sql.copying.sides import Places, Source

LOCK: Final = 0x636F7079
"""The word `copy`, as a number: whoever copies into the database holds it."""
LOCK_SECONDS: Final = 10
"""Long enough for the end of a copy that was killed just now to reach the server."""

_MAKE: Final = f"""
    CREATE TABLE agentops_copy (
        source TEXT NOT NULL, first_run TEXT NOT NULL, revision TEXT NOT NULL, begun_at BIGINT NOT NULL,
        {", ".join(f"{table.name} BIGINT NOT NULL DEFAULT 0" for table in APPENDED)}
    )
"""
_BEGIN: Final = "INSERT INTO agentops_copy (source, first_run, revision, begun_at) VALUES ($1, $2, $3, $4)"
_ADVANCE: Final = {table: f"UPDATE agentops_copy SET {table.name} = $1" for table in APPENDED}  # noqa: S608
_NAME_FIRST_RUN: Final = "UPDATE agentops_copy SET first_run = $1 WHERE first_run = ''"
_SET_REVISION: Final = f"UPDATE {VERSION_TABLE} SET version_num = $1"  # noqa: S608
_FILLED: Final = " UNION ALL ".join(
    f"SELECT '{table.name}' WHERE EXISTS (SELECT FROM {table.name})"  # noqa: S608
    for table in EVERY
    if table is not marks
)
"""A server that was once started on an empty database may have left marks there."""
_OTHERS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'agentops' AND datname = current_database() AND pid <> pg_backend_pid()
"""


async def alone(connection: Any, place: str) -> None:
    """Keep other copies out for as long as this connection lives."""
    await connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    except asyncpg.LockNotAvailableError:
        raise StartError(
            f"another copy into {place} is going on: let it end, or end it, and run the same command again"
        ) from None


async def refuse_served(connection: Any, place: str) -> None:
    others = await connection.fetchval(_OTHERS)
    if others:
        raise StartError(
            f"{others} connections of an agentops server or command are open to {place}: nothing may be written there "
            "but the copy. Stop what is connected, and run the same command again"
        )


async def claim(connection: Any, place: str, source: Source) -> Places:
    revision = await stored_revision(connection)
    if revision == COPYING:
        return await _go_on(connection, place, source)
    require_head(revision)
    filled = [row[0] for row in await connection.fetch(_FILLED)]
    if filled:
        raise Conflict(
            f"{place} has data of its own, in {', '.join(filled)}, and nothing is mixed with it: name an empty "
            "database, or bring runs and events into this one by `agentops export` and `agentops import`"
        )
    async with connection.transaction():
        await connection.execute(_MAKE)
        await connection.execute(_BEGIN, source.place, await source.first_run(), HEAD, now_ms())
        await connection.execute(_SET_REVISION, COPYING)
    return dict.fromkeys(APPENDED, 0)


async def _go_on(connection: Any, place: str, source: Source) -> Places:
    begun = await connection.fetchrow("SELECT * FROM agentops_copy")
    if begun["revision"] != HEAD:
        raise Conflict(
            f"the copy in {place} was begun by another version of this program, on schema {begun['revision']!r}: go "
            "on with that version, or begin anew with an empty database"
        )
    if begun["first_run"] not in ("", await source.first_run()):
        raise Conflict(
            f"{place} holds a part of {begun['source']!r}, and {source.place!r} is another database: their first runs "
            "are not the same. Go on with the first, or name an empty database"
        )
    return {table: begun[table.name] for table in APPENDED}


async def advance(connection: Any, table: Any, place: int) -> None:
    """In the transaction that stores the rows."""
    await connection.execute(_ADVANCE[table], place)


async def name_first_run(connection: Any, first_run: str) -> None:
    """A source may have had none when it was claimed."""
    await connection.execute(_NAME_FIRST_RUN, first_run)


async def release(connection: Any) -> None:
    async with connection.transaction():
        await connection.execute("DROP TABLE agentops_copy")
        await connection.execute(_SET_REVISION, HEAD)
