"""Stores a batch of appends by one call of a function in the database, which is a transaction of its own.

The function locks the runs first, with advisory locks: unlike a row lock they give the transaction no number. It
gets one when it first writes, when all its runs are its own, so that within a run the numbers of transactions grow
as the ids do, and the feed, which goes by those numbers, never turns a run's order.
"""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

import re
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from agentops.core.errors import BadRequest, InternalError, Refusal, TooLarge, Unavailable
from agentops.core.records import StoredEvent, default_title, now_ms
from agentops.sql.batch import NOTHING, KnownKeys, RunName, RunState, plan, refusal
from agentops.sql.postgres_server import numbered, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence

    from agentops.core.ports.storage import Append, Appended, Statement
    from agentops.core.records import Status

STORE: Final = "SELECT * FROM append_events($1, $2, $3, $4, $5, $6, $7, $8, $9)"
NoPart: Final = asyncpg.CheckViolationError
"""The ids have outrun the parts of `events`: one is to be made."""
_KNOWN: Final = ("known_places", "known_ids", "known_bodies")
_LOCK: Final = "SELECT pg_advisory_xact_lock(name) FROM unnest($1::bigint[]) AS locks (name)"
_SOFTLY: Final = "; SET LOCAL synchronous_commit = off"


async def append_batch(connection: Any, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
    """Commit all at once; if one cannot be stored, store each by itself."""
    refused = [refusal(append) for append in batch]
    with _outcome_told(connection):
        if not any(refused):
            try:
                return await store(connection, batch)
            except Exception as error:
                if _refusal_for(error) is None:
                    raise
        return [verdict or await _store_one(connection, append) for append, verdict in zip(batch, refused, strict=True)]


@contextmanager
def _outcome_told(connection: Any) -> Generator[None]:
    """Say so where nobody can know whether it was committed: the answer to the one call did not come."""
    try:
        yield
    except Exception as error:
        if connection.is_closed() or isinstance(error, TimeoutError):
            raise Unavailable(
                "the database was lost while it committed: the events may be stored, so send them again with a key",
                code="outcome_unknown",
            ) from error
        raise


async def _store_one(connection: Any, append: Append) -> Appended | Refusal:
    try:
        (answer,) = await store(connection, [append])
    except Exception as error:
        verdict = _refusal_for(error)
        if verdict is None:
            raise
        return verdict
    return answer


async def store(connection: Any, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
    """All or none of it is stored, and when this returns, it is committed; without statements that is one trip."""
    if not any(append.statements for append in batch):
        return await _store_events(connection, batch)
    of_runs = [append for append in batch if append.is_of_run]
    async with _transaction(connection, lasting=any(append.lasting for append in batch)):
        await connection.execute(_LOCK, _locks(batch))
        stored = iter(await _store_events(connection, of_runs) if of_runs else ())
        return [await _carry_out(connection, append, next(stored) if append.is_of_run else NOTHING) for append in batch]


@asynccontextmanager
async def _transaction(connection: Any, *, lasting: bool) -> AsyncGenerator[None]:
    """Rolled back where the connection is going to be used again; the server does so for one that is given up."""
    await connection.execute("BEGIN" if lasting else "BEGIN" + _SOFTLY)
    try:
        yield
        await connection.execute("COMMIT")
    except Exception as error:
        if isinstance(error, NoPart) or _refusal_for(error) is not None:
            await connection.execute("ROLLBACK")
        raise


def _locks(batch: Sequence[Append]) -> Sequence[int]:
    """Taken before those of runs, and all instances take them in this order; no row is locked while one is missing."""
    return sorted({_lock_of_name(name) for append in batch for each in append.statements for name in each.locks})


async def _carry_out(connection: Any, append: Append, stored: Appended) -> Appended | Refusal:
    """Its statements, behind its events. One that refuses is raised, unless there is nothing to take back."""
    rows: list[Any] = []
    for position, statement in enumerate(append.statements):
        returned, changed = await _executed(connection, statement)
        rows += returned
        if statement.otherwise is not None and not changed:
            if position or append.is_of_run:
                raise statement.otherwise
            return statement.otherwise
    return stored._replace(rows=rows) if rows else stored


async def _executed(connection: Any, statement: Statement) -> tuple[Sequence[Any], bool]:
    """What it returned, and whether it changed anything; only one of the driver's two ways tells each."""
    query = numbered(statement.query)
    if _returns(query):
        rows = await connection.fetch(query, *statement.values)
        return rows, bool(rows)
    status = await connection.execute(query, *statement.values)
    return (), not status.endswith(" 0")


@cache
def _returns(query: str) -> bool:
    return re.search(r"^\s*SELECT\b|\bRETURNING\b", query, re.IGNORECASE) is not None


async def _store_events(connection: Any, batch: Sequence[Append]) -> Sequence[Appended]:
    asked = _asked(batch)
    runs = sorted(asked.statuses, key=lock_of)
    places = {run: place for place, run in enumerate(runs, 1)}
    stored = await connection.fetchrow(
        STORE,
        [lock_of(run) for run in runs],
        [project for project, _ in runs],
        [name for _, name in runs],
        [default_title(name) for _, name in runs],
        [asked.statuses[run] for run in runs],
        now_ms(),
        [places[run] for run in asked.runs],
        asked.bodies,
        asked.keys if any(key is not None for key in asked.keys) else None,
    )
    states = {
        run: RunState(0, place, last, kept)
        for (run, place), last, kept in zip(places.items(), stored["last_ids"], stored["kept"], strict=True)
    }
    known: KnownKeys = {}
    for place, id_, body in zip(*(stored[column] or () for column in _KNOWN), strict=True):
        known[places[asked.runs[place - 1]], str(asked.keys[place - 1])] = StoredEvent(id_, body)
    appended = plan(batch, states, known, stored["ids"] or ()).appended
    return [each._replace(waited=True) for each in appended] if stored["waited"] else appended


def lock_of(run: RunName) -> int:
    """All instances take the locks of their runs in the order of these, so that none waits in a circle."""
    return _lock("\0".join(run), b"agentops-run")


def _lock_of_name(name: str) -> int:
    return _lock(name, b"agentops-name")


def _lock(name: str, person: bytes) -> int:
    encoded = name.encode(errors="surrogatepass")
    return int.from_bytes(blake2b(encoded, digest_size=8, person=person).digest(), signed=True)


@dataclass(slots=True)
class _Asked:
    """Of each event its run, its body and its key, each key of a run once; and which status the runs are to have."""

    runs: list[RunName] = field(default_factory=list[RunName])
    bodies: list[str] = field(default_factory=list[str])
    keys: list[str | None] = field(default_factory=list["str | None"])
    statuses: dict[RunName, Status | None] = field(default_factory=dict["RunName", "Status | None"])


def _asked(batch: Sequence[Append]) -> _Asked:
    asked = _Asked()
    seen: set[tuple[RunName, str]] = set()
    for append in batch:
        run = (append.project, append.run)
        asked.statuses[run] = append.status or asked.statuses.get(run)
        for body, key in append.events:
            if key is not None:
                if (run, key) in seen:
                    continue
                seen.add((run, key))
            asked.runs.append(run)
            asked.bodies.append(body)
            asked.keys.append(key)
    return asked


def _refusal_for(error: Exception) -> Refusal | None:
    """What an append is told that cannot be stored while others can; nothing for a failure of the whole database."""
    if isinstance(error, Refusal):
        return None if isinstance(error, Unavailable) else error
    if isinstance(error, asyncpg.ProgramLimitExceededError):
        return TooLarge("this is larger than the database can hold")
    if isinstance(error, (ValueError, asyncpg.DataError)):
        return BadRequest("an event must be text that can be written as UTF-8")
    if isinstance(error, NoPart):
        return None
    if isinstance(error, asyncpg.PostgresError) and unavailable(error) is None:
        return InternalError("the database refused to store this")
    return None
