"""What can be wrong with a Postgres: what it promises of a commit, who is connected, and who holds up all others."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from agentops.core.errors import StartError, Unavailable
from agentops.core.ports.diagnosis import Finding, Question, fine
from agentops.core.problem import Problem
from agentops.sql.diagnosis import NoTables
from agentops.sql.postgres_server import numbered, translated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

    from agentops.core.ports.diagnosis import Reads
    from agentops.sql.postgres_server import Server

LONG_SECONDS: Final = 300
CROWDED: Final = 0.8
CLOCKS_APART_SECONDS: Final = 2.0

_DURABLE: Final = """
    SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
           pg_is_in_recovery()
"""
_CONNECTIONS: Final = """
    SELECT count(*) FILTER (WHERE backend_type = 'client backend'),
           count(*) FILTER (WHERE application_name = 'agentops' AND datname = current_database()),
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    FROM pg_stat_activity
"""
_LONG: Final = """
    SELECT pid, coalesce(application_name, ''), coalesce(state, ''),
           (extract(epoch FROM clock_timestamp() - xact_start) / 60)::int, backend_xid IS NOT NULL
    FROM pg_stat_activity
    WHERE xact_start < clock_timestamp() - make_interval(secs => ?)
      AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    UNION ALL
    SELECT 0, gid, 'prepared', (extract(epoch FROM clock_timestamp() - prepared) / 60)::int, true
    FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - make_interval(secs => ?)
    ORDER BY 5 DESC, 4 DESC
"""


class Peek:
    """One connection, set up as those of the server are, that may only read."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        try:
            with translated():
                rows: Sequence[Sequence[Any]] = await self._connection.fetch(numbered(query), *values)
                return rows
        except asyncpg.UndefinedTableError as error:
            raise NoTables from error
        except asyncpg.PostgresError as error:
            raise Unavailable(f"the database refuses to be asked ({type(error).__name__})") from error


@asynccontextmanager
async def peek(server: Server) -> AsyncGenerator[Reads]:
    """Break the connection off at the end: one to a server that is frozen would be closed for ever."""
    try:
        connection = await server.connect_at_start()
    except StartError as error:
        raise Unavailable(str(error)) from error
    try:
        await connection.execute("SET default_transaction_read_only = on; SET application_name = 'agentops doctor'")
        yield Peek(connection)
    finally:
        connection.terminate()


def questions_of(storage: Reads, wanted: int) -> Iterator[Question]:
    yield Question("durability", partial(durability, storage))
    yield Question("connections", partial(connections, storage, wanted))
    yield Question("long transactions", partial(long_transactions, storage))
    yield Question("the database's clock", partial(clock, storage))
    yield Question("size", partial(size, storage))


async def durability(storage: Reads) -> Iterable[Finding]:
    """`synchronous_commit` is set on each connection; a pooler in between may have lost it on the way."""
    ((fsync, full_pages, commit, standby),) = await storage.read_rows(_DURABLE)
    findings = list[Finding]()
    if standby:
        what, why = "this Postgres is a standby, which can only be read", "nothing can be stored"
        findings.append(Finding("failing", Problem("url", what, why, "name the primary in [storage] url")))
    off = [name for name, value in (("fsync", fsync), ("full_page_writes", full_pages)) if value == "off"]
    if off:
        what, why = f"{' and '.join(off)} of this Postgres is off", "a power cut may destroy the whole database"
        findings.append(Finding("risk", Problem("url", what, why, "turn it on in postgresql.conf, and reload")))
    if commit in {"off", "local"} and not standby:
        what = f"synchronous_commit is {commit!r} on a connection that asked for 'on'"
        why = "events would be acknowledged that a crash takes away"
        remedy = "connect without a pooler in between, or let the pooler keep that parameter"
        findings.append(Finding("risk", Problem("url", what, why, remedy)))
    return findings


async def connections(storage: Reads, wanted: int) -> Iterable[Finding]:
    """`wanted` is how many one process of the server may open."""
    ((used, ours, most),) = await storage.read_rows(_CONNECTIONS)
    said = fine(f"{used} of {most} connections, {ours} of them of agentops")
    if used >= CROWDED * most:
        what = f"{used} of the {most} connections of this Postgres are taken, {ours} of them by agentops"
        why = "when none is left, requests are answered 503 and no further server can start"
    elif wanted > most:
        what = f"a process of the server may open {wanted} connections, and this Postgres has {most}"
        why = "under load it would be refused those that it waits for"
    else:
        return [said]
    remedy = "lower storage.pool_size or the number of processes, raise max_connections, or end those that idle"
    return [Finding("risk", Problem("pool_size", what, why, remedy))]


async def long_transactions(storage: Reads, seconds: int = LONG_SECONDS) -> Iterable[Finding]:
    """The feed of all runs shows nothing behind one that writes. A plain user is shown none of other users."""
    rows = await storage.read_rows(_LONG, seconds, seconds)
    if not rows:
        return []
    pid, name, state, minutes, writes = rows[0]
    who = f"{name!r}, pid {pid}" if pid else f"{name!r}, which is prepared"
    others = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    what = f"a transaction is open for {minutes} minutes ({who}, {state}){others}"
    if writes:
        why = "streams and pages over all runs show nothing that was stored after it began, until it ends"
    else:
        why = "nothing that is deleted makes room meanwhile, and tables grow"
    ending = f"SELECT pg_terminate_backend({pid})" if pid else f"ROLLBACK PREPARED '{name}'"
    remedy = f"find out what it does, and end it: {ending}"
    return [Finding("failing" if writes else "risk", Problem("url", what, why, remedy))]


async def clock(storage: Reads) -> Iterable[Finding]:
    began = time.time()
    ((theirs,),) = await storage.read_rows("SELECT extract(epoch FROM clock_timestamp())::float8")
    apart = theirs - (began + time.time()) / 2
    if abs(apart) < CLOCKS_APART_SECONDS:
        return []
    what = f"the clock of the database is {abs(apart):,.0f} s {'ahead of' if apart > 0 else 'behind'} this machine's"
    why = "what happened when cannot be told from the records of both"
    return [Finding("advice", Problem("url", what, why, "let both machines set their clocks by NTP"))]


async def size(storage: Reads) -> Iterable[Finding]:
    ((pretty,),) = await storage.read_rows("SELECT pg_size_pretty(pg_database_size(current_database()))")
    return [fine(f"{pretty} in the database")]
