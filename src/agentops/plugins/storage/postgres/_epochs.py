"""The lives of a database: a new one begins when it was restored, or when another server took it over.

Numbers of transactions and ids are not what they were then: what came after the dump was lost with them, and both
would be given a second time. So a new epoch counts both from further on. An old cursor keeps its place before all
that is new, and one that stands in what was lost is recognised.
"""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from agentops.core.errors import Unavailable
from agentops.core.records import now_ms
from agentops.plugins.storage.postgres._parts import changing, make_room

if TYPE_CHECKING:
    from agentops.core.signals import Signals

XIDS: Final = 2**44
"""Numbers of transactions in an epoch: at ten thousand a second they last for half a century."""
LOST_IDS: Final = 2**40
"""Ids that are left out between two epochs, more than can have been given after the dump: at sixty thousand a second
they last for half a year, and eight thousand epochs stay below 2**53, up to which JavaScript counts."""
LOST_IDS_EACH_MS: Final = 1_000
"""And so many more for the time since the epoch in the dump began. The same dump may have been restored before, and
have given out ids of its own since: whoever restores it later begins behind them all."""

NUMBER: Final = "(SELECT coalesce(max(number), 0) FROM epochs)"
HORIZON: Final = f"((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {XIDS} * {NUMBER})::text)::xid8"
"""Below it, no transaction of this epoch is open any more."""

# Of the cluster, of the database in it, and of the line of its history, which a standby that takes over leaves.
DATABASE: Final = """
    concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
        (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
IDENTITY: Final = f"SELECT concat_ws('/', {DATABASE}, left(pg_walfile_name(pg_current_wal_lsn()), 8))"
_LAST: Final = "SELECT number, identity, began_at FROM epochs ORDER BY number DESC LIMIT 1"
_NOTE: Final = """
    INSERT INTO epochs (number, began_at, identity, last_id, first_id) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (number) DO UPDATE SET identity = excluded.identity
"""
NEWEST: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_id"
_LIFE: Final = "SELECT coalesce(max(first_id), 0) FROM epochs WHERE number > 0"
FIRST_NUMBER: Final = f"""
    SELECT ((number * {XIDS})::text)::xid8 FROM epochs WHERE $3 > last_id AND $3 < first_id
"""  # noqa: S608 - put together from what stands in this program
"""The number before all transactions of the epoch that began when this id was lost; none of an id that was not."""
_KNOWN: Final = f"""
    SELECT least(
        $1,
        (SELECT last_id FROM epochs WHERE $1 > last_id AND $1 < first_id),
        ({NEWEST})
    )
"""  # noqa: S608 - as above


class Epoch(NamedTuple):
    number: int
    identity: str
    began_at: int


async def recognise(connection: Any, part_events: int, signals: Signals) -> None:
    """Before anything is appended: begin a new epoch if this is not the database that the last one was on.

    A database that never held an event may be moved about. A standby cannot say which it is, nor be appended to.
    """
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise Unavailable("nothing can be stored now: the server of the database is a standby, which can only be read")
    identity = await connection.fetchval(IDENTITY)
    if (await _last(connection)).identity == identity:
        return
    try:
        await _begin(connection, identity, part_events, signals)
    except asyncpg.LockNotAvailableError as error:
        raise Unavailable(
            "nothing can be stored now: this database was restored or taken over, and its new epoch begins when no "
            "transaction holds `events`, not even one that reads; `agentops doctor` names long ones"
        ) from error


async def _begin(connection: Any, identity: str, part_events: int, signals: Signals) -> None:
    async with changing(connection):
        last = await _last(connection)
        if last.identity == identity:
            return
        newest = await connection.fetchval(NEWEST)
        number = last.number + 1 if newest and last is not _NONE else 0
        now = now_ms()
        lost = LOST_IDS + LOST_IDS_EACH_MS * max(0, now - last.began_at)
        first = newest + (lost if number else 1)
        await connection.execute(_NOTE, number, now, identity, newest, first)
        if not number:
            return
        await connection.execute(f"ALTER TABLE events ALTER COLUMN xid SET DEFAULT {_numbered_on(number)}")
        await make_room(connection, part_events, first)
        await connection.execute("SELECT setval('events_id', $1)", first - 1)
    meaning = "this database was restored, or another server took it over: streams are told where events may be lost"
    signals.event("database.changed", "warning", epoch=number, last_id=newest, meaning=meaning)


async def life(connection: Any) -> int:
    """The first id of the newest epoch: two that were begun from one dump have the same number, but not this."""
    return int(await connection.fetchval(_LIFE))


async def known(connection: Any, after: int) -> int:
    """The id itself, or the highest below it that was not lost with the end of an epoch."""
    return int(await connection.fetchval(_KNOWN, after))


async def _last(connection: Any) -> Epoch:
    row = await connection.fetchrow(_LAST)
    return _NONE if row is None else Epoch(*row)


def _numbered_on(number: int) -> str:
    return f"((pg_current_xact_id()::text::bigint + {number * XIDS})::text)::xid8"


_NONE: Final = Epoch(-1, "", 0)
