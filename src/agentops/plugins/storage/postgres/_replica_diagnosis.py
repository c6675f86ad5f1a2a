"""What the doctor asks of a replica: whether it can stand in for the primary, and how far behind it is."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from agentops.core.ports.diagnosis import Finding, Question, fine
from agentops.core.problem import Problem
from agentops.plugins.storage.postgres._standing import PRIMARY, STANDBY, Standing, Unfit, require_fit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentops.core.ports.diagnosis import Reads
    from agentops.sql.postgres_server import Server

PATIENCE_SECONDS: Final = 1.0
"""A replica that has not replayed by then what the primary had before is behind, and not just on its way."""
LOOK_AGAIN_SECONDS: Final = 0.05

_KEY: Final = "replica_url"
_UNUSED: Final = "it is not used: all pages are read from the primary, and nothing is late or missing"


def replica_question(storage: Reads, server: Server) -> Question:
    return Question("replica", partial(replica, storage, server))


async def replica(storage: Reads, server: Server) -> Iterable[Finding]:
    (row,) = await storage.read_rows(PRIMARY)
    primary = Standing.of(row)
    try:
        connection = await server.connect()
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [
            _risk(
                f"the replica at {server.place} cannot be reached ({type(error).__name__})", "start it, or name another"
            )
        ]
    try:
        return [await _compared(connection, primary)]
    except Unfit as error:
        return [
            _risk(f"the replica at {server.place} cannot be used: {error}", "name a streaming standby of [storage] url")
        ]
    except (TimeoutError, asyncpg.PostgresError) as error:
        return [_risk(f"the replica at {server.place} does not answer ({type(error).__name__})", "look at its log")]
    finally:
        connection.terminate()


async def _compared(connection: Any, primary: Standing) -> Finding:
    began = time.monotonic()
    while True:
        standby = Standing.of(await connection.fetchrow(STANDBY))
        require_fit(standby, primary)
        seconds = time.monotonic() - began
        if standby.come_to >= primary.come_to:
            return fine(f"the replica is less than {seconds + LOOK_AGAIN_SECONDS:.1f} s behind")
        if seconds >= PATIENCE_SECONDS:
            return _behind(primary.come_to - standby.come_to, standby.newest_seconds)
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


def _behind(missing: int, newest: float | None) -> Finding:
    since = f"; the newest that it has was committed {newest:,.0f} s ago" if newest is not None else ""
    what = f"the replica is behind: it lacks {missing:,} bytes of what the primary wrote{since}"
    why = "pages that it lacks are read from the primary; none is late or missing"
    remedy = "see whether it replays (pg_is_wal_replay_paused), receives (pg_stat_wal_receiver) and keeps up"
    return Finding("advice", Problem(_KEY, what, why, remedy))


def _risk(what: str, remedy: str) -> Finding:
    return Finding("risk", Problem(_KEY, what, _UNUSED, remedy))
