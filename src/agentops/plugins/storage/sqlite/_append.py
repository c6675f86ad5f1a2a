"""Stores a batch of appends on the writer's connection, in one transaction."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.errors import BadRequest, InternalError, Refusal, TooLarge
from agentops.core.records import StoredEvent, default_title, now_ms
from agentops.plugins.storage.sqlite._connections import roll_back, unavailable
from agentops.sql.batch import COLUMNS, NOTHING, KnownKeys, RunName, RunState, plan, refusal, wanted_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.ports.storage import Append, Appended

ROWS_AT_ONCE: Final = 100
"""Rows in one INSERT: twice as fast as `executemany`; more gain nothing."""

_NEWEST: Final = "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
_FIND_RUN: Final = """
    SELECT r.project, r.pk, r.last_id, r.event_count - r.pruned_count FROM runs r
    WHERE r.project = (SELECT pk FROM projects WHERE name = ?) AND r.name = ?
"""
_MAKE_PROJECT: Final = "INSERT INTO projects (name) VALUES (?) ON CONFLICT (name) DO NOTHING"
_MAKE_RUN: Final = """
    INSERT INTO runs (project, name, title, status, started_at)
    SELECT pk, ?, ?, 'running', ? FROM projects WHERE name = ?
"""
_FIND_KEYS: Final = """
    SELECT e.key, e.id, e.body FROM json_each(?) wanted
    CROSS JOIN events e ON e.run = ? AND e.key = wanted.value AND e.key IS NOT NULL
"""
_COUNT: Final = "UPDATE runs SET last_id = ?, event_count = event_count + ? WHERE pk = ?"
_SET_STATUS: Final = """
    UPDATE runs SET status = ?1, ended_at = CASE WHEN ?1 = 'running' THEN NULL ELSE coalesce(ended_at, ?2) END
    WHERE pk = ?3
"""


@cache
def _insert(rows: int) -> str:
    return f"INSERT INTO events (id, project, run, body, key) VALUES {','.join(['(?,?,?,?,?)'] * rows)}"  # noqa: S608


def newest_id(connection: sqlite3.Connection) -> int:
    row = connection.execute(_NEWEST).fetchone()
    return int(row[0]) if row is not None else 0


def append_batch(
    connection: sqlite3.Connection, batch: Sequence[Append], *, waits: bool
) -> Sequence[Appended | Refusal]:
    """Commit all at once, and wait for the disk if this connection `waits` and any of it is to last."""
    if not waits or any(append.lasting for append in batch):
        return _append(connection, batch)
    connection.execute("PRAGMA synchronous=normal")
    try:
        return _append(connection, batch)
    finally:
        connection.execute("PRAGMA synchronous=full")


def _append(connection: sqlite3.Connection, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
    """If one cannot be stored, go back and store each by itself."""
    refused = [refusal(append) for append in batch]
    if not any(refused):
        try:
            connection.execute("BEGIN IMMEDIATE")
            appended = _store(connection, batch)
            connection.execute("COMMIT")
        except BaseException as error:
            roll_back(connection)
            if _refusal_for(error) is None:
                raise
        else:
            return appended
    return _append_each(connection, batch, refused)


def _append_each(
    connection: sqlite3.Connection, batch: Sequence[Append], refused: Sequence[Refusal | None]
) -> Sequence[Appended | Refusal]:
    answers: list[Appended | Refusal] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for append, verdict in zip(batch, refused, strict=True):
            answers.append(verdict if verdict is not None else _store_one(connection, append))
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
    return answers


def _store_one(connection: sqlite3.Connection, append: Append) -> Appended | Refusal:
    connection.execute("SAVEPOINT one")
    try:
        (answer,) = _store(connection, [append])
    except Exception as error:
        verdict = _refusal_for(error)
        if verdict is None:
            raise
        connection.execute("ROLLBACK TO one")
        answer = verdict
    connection.execute("RELEASE one")
    return answer


def _store(connection: sqlite3.Connection, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
    if not any(append.statements for append in batch):
        return _store_events(connection, batch)
    stored = iter(_store_events(connection, [append for append in batch if append.is_of_run]))
    return [_carry_out(connection, append, next(stored) if append.is_of_run else NOTHING) for append in batch]


def _carry_out(connection: sqlite3.Connection, append: Append, stored: Appended) -> Appended | Refusal:
    """Its statements, behind its events. One that refuses is raised, unless there is nothing to take back."""
    rows: list[Any] = []
    for position, (query, values, otherwise, _) in enumerate(append.statements):
        cursor = connection.execute(query, values)
        returned = cursor.fetchall()
        rows += returned
        if otherwise is not None and not returned and not _changed(connection, cursor):
            if position or append.is_of_run:
                raise otherwise
            return otherwise
    return stored._replace(rows=rows) if rows else stored


def _changed(connection: sqlite3.Connection, cursor: sqlite3.Cursor) -> int:
    """How many rows; the driver does not count them when a statement begins with `WITH`."""
    return cursor.rowcount if cursor.rowcount >= 0 else int(connection.execute("SELECT changes()").fetchone()[0])


def _store_events(connection: sqlite3.Connection, batch: Sequence[Append]) -> Sequence[Appended]:
    states: dict[RunName, RunState] = {}
    for append in batch:
        name = append.project, append.run
        if name not in states:
            states[name] = _run_state(connection, name)
    known: KnownKeys = {}
    for name, keys in wanted_keys(batch).items():
        run = states[name].pk
        for key, event, body in connection.execute(_FIND_KEYS, (msgspec.json.encode(keys).decode(), run)):
            known[run, key] = StoredEvent(event, body)
    newest = newest_id(connection)
    made = plan(batch, states, known, range(newest + 1, newest + 1 + sum(len(append.events) for append in batch)))
    _insert_events(connection, made.values)
    now = now_ms()
    for state in states.values():
        if state.added:
            connection.execute(_COUNT, (state.last, state.added, state.pk))
        if state.status is not None:
            connection.execute(_SET_STATUS, (state.status, now, state.pk))
    return made.appended


def _run_state(connection: sqlite3.Connection, name: RunName) -> RunState:
    row = connection.execute(_FIND_RUN, name).fetchone()
    if row is None:
        project, run = name
        connection.execute(_MAKE_PROJECT, (project,))
        connection.execute(_MAKE_RUN, (run, default_title(run), now_ms(), project))
        row = connection.execute(_FIND_RUN, name).fetchone()
    return RunState(*row)


def _insert_events(connection: sqlite3.Connection, values: list[Any]) -> None:
    width = len(COLUMNS)
    for start in range(0, len(values), width * ROWS_AT_ONCE):
        part = values[start : start + width * ROWS_AT_ONCE]
        connection.execute(_insert(len(part) // width), part)


def _refusal_for(error: BaseException) -> Refusal | None:
    """What an append is told that cannot be stored while others can; nothing for a failure of the whole database."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UnicodeEncodeError):
        return BadRequest("an event must be text that can be written as UTF-8")
    if isinstance(error, (sqlite3.DataError, OverflowError)):
        return TooLarge("an event is larger than the database can hold")
    if isinstance(error, sqlite3.Error) and unavailable(error) is None:
        return InternalError("the database refused to store this")
    return None
