"""The reads that are made all the time: pages of a run, the feed, the newest id."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import BadRequest
from agentops.core.ports.storage import FeedItem, Page
from agentops.core.records import StoredEvent
from agentops.plugins.storage.sqlite._append import newest_id
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from agentops.core.ports.storage import PageQuery

_RUN: Final = """
    SELECT pk, last_id, pruned_to, event_count - pruned_count FROM runs
    WHERE project = (SELECT pk FROM projects WHERE name = ?) AND name = ?
"""
_NEWEST_HIDDEN: Final = "SELECT id FROM events WHERE run = ? ORDER BY id DESC LIMIT 1 OFFSET ?"
_EVENTS: Final = "SELECT id, body FROM events WHERE run = ? AND id > ? ORDER BY id LIMIT ?"

ROWS_AT_ONCE: Final = 100
"""Rows between two looks at the bytes so far: row by row, a page costs half as much again."""

_as_event: Final[Callable[[tuple[int, str]], StoredEvent]] = partial(tuple[int, str].__new__, StoredEvent)
"""`StoredEvent._make` without the Python call in between."""

_FEED: Final = """
    SELECT e.id, e.body, r.name FROM events e CROSS JOIN runs r ON r.pk = e.run
    WHERE e.project = (SELECT pk FROM projects WHERE name = ?) AND e.id > ? ORDER BY e.id LIMIT ?
"""


def page(connection: sqlite3.Connection, query: PageQuery) -> Page:
    if not (storable(query.project) and storable(query.run)):
        return Page(())
    with _snapshot(connection):
        run = connection.execute(_RUN, (query.project, query.run)).fetchone()
        if run is None:
            return Page(())
        pk, last, hidden_to, kept = run
        if query.keep and kept > query.keep + query.keep // 10:
            hidden_to = connection.execute(_NEWEST_HIDDEN, (pk, query.keep)).fetchone()[0]
        events: list[StoredEvent] = []
        size, largest, at_once = 0, 1, 1
        found = connection.execute(_EVENTS, (pk, max(query.after, hidden_to), query.limit))
        while size < query.max_bytes and (rows := found.fetchmany(at_once)):
            events += map(_as_event, rows)
            sizes = [len(body) for _, body in rows]
            size += sum(sizes)
            largest = max(largest, *sizes)
            at_once = min(ROWS_AT_ONCE, 1 + (query.max_bytes - size) // largest)
    if query.after >= hidden_to:
        return Page(events)
    return Page(events, oldest=events[0].id if events else last + 1)


def feed(connection: sqlite3.Connection, project: str, after: int, limit: int, max_bytes: int) -> list[FeedItem]:
    items: list[FeedItem] = []
    size = 0
    if storable(project):
        for event, body, run in connection.execute(_FEED, (project, after, limit)):
            items.append(FeedItem(str(event), run, StoredEvent(event, body)))
            size += len(body)
            if size >= max_bytes:
                break
    return items


def last_id(connection: sqlite3.Connection, project: str | None, run: str | None) -> int:
    if project is None or run is None:
        return newest_id(connection)
    if not (storable(project) and storable(run)):
        return 0
    row = connection.execute(_RUN, (project, run)).fetchone()
    return int(row[1]) if row is not None else 0


def position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if re.fullmatch(r"[0-9]{1,18}", cursor):
        return int(cursor)
    raise BadRequest("this is not a cursor of this feed", code="invalid_cursor", param="after")


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Generator[None]:
    """One state of the database for several statements: what is pruned in between must not go unnoticed."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def rows(connection: sqlite3.Connection, query: str, values: Sequence[str | int]) -> Sequence[Sequence[Any]]:
    return connection.execute(query, values).fetchall()
