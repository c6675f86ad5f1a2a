"""Stores a batch of appends in one transaction, so that ids within a run commit in order.

The locks on the runs are advisory ones, taken before anything is written: unlike a row lock they give the
transaction no number. It gets one when it first writes, when all its runs are its own, so that within a run the
numbers of transactions grow as the ids do, and the feed, which goes by those numbers, never turns a run's order.
"""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from agentops.core.errors import BadRequest, InternalError, Refusal, TooLarge, Unavailable
from agentops.core.records import StoredEvent, default_title, now_ms
from agentops.sql.batch import COLUMNS, KnownKeys, RunName, RunState, plan, refusal, wanted_keys
from agentops.sql.postgres_server import unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.ports.storage import Append, Appended

# `OFFSET 0` keeps these look-ups one by one: joined freely, Postgres would go through all runs of the project,
# or all events of the run, for each.
_FIND_RUNS: Final = """
    SELECT wanted.project, wanted.run, found.project, found.pk, found.last_id, found.kept
    FROM unnest($1::text[], $2::text[]) AS wanted (project, run), LATERAL (
        SELECT project, pk, last_id, event_count - pruned_count AS kept FROM runs
        WHERE runs.project = (SELECT pk FROM projects WHERE name = wanted.project) AND runs.name = wanted.run OFFSET 0
    ) AS found
"""
_MAKE_PROJECTS: Final = """
    INSERT INTO projects (name) SELECT DISTINCT name FROM unnest($1::text[]) AS wanted (name) ORDER BY name
    ON CONFLICT (name) DO NOTHING
"""
_MAKE_RUNS: Final = """
    INSERT INTO runs (project, name, title, status, started_at)
    SELECT p.pk, wanted.run, wanted.title, 'running', $4
    FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (project, run, title)
    JOIN projects p ON p.name = wanted.project ORDER BY p.pk, wanted.run
    ON CONFLICT (project, name) DO NOTHING
"""
_FIND_KEYS: Final = """
    SELECT wanted.run, wanted.key, found.id, found.body
    FROM unnest($1::bigint[], $2::text[]) AS wanted (run, key), LATERAL (
        SELECT id, body FROM events WHERE events.run = wanted.run AND events.key = wanted.key OFFSET 0
    ) AS found
"""
_TAKE_IDS: Final = "SELECT nextval('events_id') FROM generate_series(1, $1)"
_STORE: Final = """
    WITH added AS (
        INSERT INTO events (id, project, run, body, key)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
    )
    UPDATE runs SET
        last_id = changed.last_id,
        event_count = event_count + changed.added,
        status = coalesce(changed.status, runs.status),
        ended_at = CASE
            WHEN changed.status IS NULL THEN ended_at
            WHEN changed.status = 'running' THEN NULL
            ELSE coalesce(ended_at, $10)
        END
    FROM unnest($6::bigint[], $7::bigint[], $8::bigint[], $9::text[]) AS changed (pk, last_id, added, status)
    WHERE runs.pk = changed.pk
"""


async def append_batch(connection: Any, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
    """Commit all at once; if one cannot be stored, go back and store each by itself."""
    refused = [refusal(append) for append in batch]
    if not any(refused):
        try:
            await _begin(connection, batch)
            appended = await _store(connection, batch)
            await _commit(connection)
        except Exception as error:
            if _refusal_for(error) is None:
                raise
            await connection.execute("ROLLBACK")
        else:
            return appended
    sound = [append for append, verdict in zip(batch, refused, strict=True) if verdict is None]
    await _begin(connection, sound)
    answers = [
        verdict if verdict is not None else await _store_one(connection, append)
        for append, verdict in zip(batch, refused, strict=True)
    ]
    await _commit(connection)
    return answers


async def _commit(connection: Any) -> None:
    try:
        await connection.execute("COMMIT")
    except Exception as error:
        if connection.is_closed() or isinstance(error, (TimeoutError, asyncpg.QueryCanceledError)):
            raise Unavailable(
                "the database was lost while it committed: the events may be stored, so send them again with a key",
                code="outcome_unknown",
            ) from error
        raise


async def _begin(connection: Any, batch: Sequence[Append]) -> None:
    """Lock the runs in an order that all instances share, so that none waits in a circle."""
    locks = sorted({_lock_of(append.project, append.run) for append in batch})
    await connection.execute("BEGIN")
    await connection.execute("SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS wanted (key)", locks)


def _lock_of(project: str, run: str) -> int:
    name = f"{project}\0{run}".encode(errors="surrogatepass")
    return int.from_bytes(blake2b(name, digest_size=8, person=b"agentops-run").digest(), signed=True)


async def _store_one(connection: Any, append: Append) -> Appended | Refusal:
    await connection.execute("SAVEPOINT one")
    try:
        answer: Appended | Refusal = (await _store(connection, [append]))[0]
    except Exception as error:
        verdict = _refusal_for(error)
        if verdict is None:
            raise
        await connection.execute("ROLLBACK TO one")
        answer = verdict
    await connection.execute("RELEASE one")
    return answer


async def _store(connection: Any, batch: Sequence[Append]) -> Sequence[Appended]:
    states = await _run_states(connection, batch)
    known = await _known_keys(connection, batch, states)
    count = sum(len(append.events) for append in batch)
    fresh = [row[0] for row in await connection.fetch(_TAKE_IDS, count)] if count else []
    made = plan(batch, states, known, fresh)
    changed = list(states.values())
    width = len(COLUMNS)
    await connection.execute(
        _STORE,
        *(made.values[column::width] for column in range(width)),
        [state.pk for state in changed],
        [state.last for state in changed],
        [state.added for state in changed],
        [state.status for state in changed],
        now_ms(),
    )
    return made.appended


async def _run_states(connection: Any, batch: Sequence[Append]) -> dict[RunName, RunState]:
    wanted = {(append.project, append.run) for append in batch}
    states = await _find_runs(connection, wanted)
    missing = sorted(wanted - states.keys())
    if missing:
        projects = [project for project, _ in missing]
        runs = [run for _, run in missing]
        await connection.execute(_MAKE_PROJECTS, projects)
        await connection.execute(_MAKE_RUNS, projects, runs, [default_title(run) for run in runs], now_ms())
        states |= await _find_runs(connection, set(missing))
    return states


async def _find_runs(connection: Any, wanted: set[RunName]) -> dict[RunName, RunState]:
    rows = await connection.fetch(_FIND_RUNS, [project for project, _ in wanted], [run for _, run in wanted])
    return {(row[0], row[1]): RunState(row[2], row[3], row[4], row[5]) for row in rows}


async def _known_keys(connection: Any, batch: Sequence[Append], states: dict[RunName, RunState]) -> KnownKeys:
    wanted = {(states[name].pk, key) for name, keys in wanted_keys(batch).items() for key in keys}
    if not wanted:
        return {}
    rows = await connection.fetch(_FIND_KEYS, [run for run, _ in wanted], [key for _, key in wanted])
    return {(row[0], row[1]): StoredEvent(row[2], row[3]) for row in rows}


def _refusal_for(error: Exception) -> Refusal | None:
    """What an append is told that cannot be stored while others can; nothing for a failure of the whole database."""
    if isinstance(error, asyncpg.ProgramLimitExceededError):
        return TooLarge("this is larger than the database can hold")
    if isinstance(error, (ValueError, asyncpg.DataError)):
        return BadRequest("an event must be text that can be written as UTF-8")
    if isinstance(error, asyncpg.PostgresError) and unavailable(error) is None:
        return InternalError("the database refused to store this")
    return None
