"""The parts of `events`, each a range of ids: made ahead of what is appended, and dropped when all of it is old."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentops.core.records import now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

LOCK: Final = 0x6167656E74706172
"""The word `agentpar`, as a number: whoever changes the parts holds it."""
UPKEEP_LOCK: Final = LOCK + 1
"""Held by the one instance that counts and drops."""
LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '500ms'"
"""Whoever waits for a lock on the whole table holds up all that come after."""
RUNS_AT_ONCE: Final = 1000

_PARTS: Final = r"""
    SELECT child.relname,
           coalesce((regexp_match(bounds, 'FROM \(''?(\d+)'))[1]::bigint, 0),
           (regexp_match(bounds, 'TO \(''?(\d+)'))[1]::bigint
    FROM pg_inherits
    JOIN pg_class AS child ON child.oid = inhrelid,
    LATERAL pg_get_expr(child.relpartbound, child.oid) AS bounds
    WHERE inhparent = 'events'::regclass ORDER BY 2
"""
_NEWEST: Final = "SELECT last_value FROM events_id"
_MARKED_AT: Final = "SELECT coalesce(max(at), 0) FROM marks"
_MARK: Final = "INSERT INTO marks (upto, at) VALUES ($1, $2)"

# Rows that an append holds are left for the next time: who waits for none is in no circle of waiting.
_HOLD: Final = """
    SELECT pk FROM runs WHERE pk IN (SELECT run FROM {part} WHERE run > $1 GROUP BY run ORDER BY run LIMIT $2)
    FOR NO KEY UPDATE SKIP LOCKED
"""
_COUNT_OFF: Final = """
    WITH gone AS (
        SELECT runs.pk, found.gone, found.last FROM runs, LATERAL (
            SELECT count(*) AS gone, max(id) AS last FROM {part}
            WHERE {part}.run = runs.pk AND {part}.id > runs.pruned_to
        ) AS found
        WHERE runs.pk = ANY($1) AND found.gone > 0
    ), counted AS (
        UPDATE runs SET pruned_count = pruned_count + gone.gone, pruned_to = gone.last FROM gone WHERE runs.pk = gone.pk
    )
    SELECT coalesce(sum(gone), 0)::bigint FROM gone
"""
_NEXT_RUNS: Final = """
    SELECT max(run) FROM (SELECT run FROM {part} WHERE run > $1 GROUP BY run ORDER BY run LIMIT $2) AS next_ones
"""
_STILL_COUNTED: Final = """
    SELECT EXISTS (SELECT FROM {part} JOIN runs ON runs.pk = {part}.run AND {part}.id > runs.pruned_to)
"""


class Part(NamedTuple):
    """Holds the events with `first <= id < end`."""

    name: str
    first: int
    end: int


async def parts(connection: Any) -> Sequence[Part]:
    return [Part(*row) for row in await connection.fetch(_PARTS)]


async def make_room(connection: Any, size: int, first: int = 0, count: int = 0) -> None:
    """See that there are parts for the next ids, from `first` on and for so many, and one more behind them."""
    async with changing(connection):
        end = max((await parts(connection))[-1].end, first // size * size)
        newest = max(await connection.fetchval(_NEWEST), first)
        while end <= newest + max(size, count):
            await _make(connection, Part(f"events_{end}", end, end + size))
            end += size


async def _make(connection: Any, part: Part) -> None:
    """Attached when it is whole: made in its place, it would lock out all who read."""
    await connection.execute(
        f"CREATE TABLE {part.name} (LIKE events INCLUDING DEFAULTS, PRIMARY KEY (run, id));"
        f"CREATE UNIQUE INDEX {part.name}_key ON {part.name} (run, key) WHERE key IS NOT NULL;"
        f"ALTER TABLE events ATTACH PARTITION {part.name} FOR VALUES FROM ({part.first}) TO ({part.end})"
    )


async def mark(connection: Any, size: int, due: int) -> None:
    """Begin a part and note the last id before it, unless another instance has done so since it was due."""
    if await connection.fetchval(_MARKED_AT) <= due:
        last = await begin_next(connection, size)
        await connection.execute(_MARK, last, now_ms())


async def begin_next(connection: Any, size: int) -> int:
    """Let the next id be the first of a part; return the last one before it.

    Altering the sequence, to what it is already, is the lock under which nobody else takes an id.
    """
    await make_room(connection, size)
    async with changing(connection):
        await connection.execute("ALTER SEQUENCE events_id CACHE 1")
        newest, is_given = await connection.fetchrow("SELECT last_value, is_called FROM events_id")
        if not is_given:
            return 0
        (part,) = [part for part in await parts(connection) if part.first <= newest + 1 < part.end]
        if part.first == newest + 1:
            return int(newest)
        return int(await connection.fetchval("SELECT setval('events_id', $1)", part.end - 1))


async def drop_to(connection: Any, upto: int) -> int:
    """Drop the parts that hold nothing above an id; return how many events that were."""
    gone = 0
    for part in await parts(connection):
        if part.end <= upto + 1:
            gone += await _count_off(connection, part)
            if await connection.fetchval(_STILL_COUNTED.format(part=part.name)):
                break
            async with changing(connection):
                await connection.execute(f"DROP TABLE {part.name}")
    return gone


async def _count_off(connection: Any, part: Part) -> int:
    """Tell each run what it loses, a thousand at a time; it is gone for readers from then on.

    They are held first and counted then: a count that began before would not see what was pruned meanwhile.
    """
    gone, run = 0, 0
    while run is not None:
        async with connection.transaction():
            held = [row[0] for row in await connection.fetch(_HOLD.format(part=part.name), run, RUNS_AT_ONCE)]
            gone += await connection.fetchval(_COUNT_OFF.format(part=part.name), held)
        run = await connection.fetchval(_NEXT_RUNS.format(part=part.name), run, RUNS_AT_ONCE)
    return gone


@asynccontextmanager
async def changing(connection: Any) -> AsyncGenerator[None]:
    """A transaction in which nobody else changes the parts."""
    async with connection.transaction():
        await connection.execute(LOCK_TIMEOUT)
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        yield
