"""The reads that are made all the time: pages of a run, the feed, the newest id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentops.core.errors import BadRequest
from agentops.core.ports.storage import FeedItem, Page
from agentops.core.records import StoredEvent
from agentops.plugins.storage.postgres._epochs import FIRST_NUMBER, HORIZON, NEWEST
from agentops.sql.storage import CURSOR
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.ports.storage import PageQuery

# The plain `id > $3` lets Postgres leave out the parts before it when the query begins.
_PAGE: Final = """
    WITH run AS MATERIALIZED (
        SELECT pk, last_id, greatest(pruned_to, CASE WHEN $6 > 0 AND event_count - pruned_count > $6 + $6 / 10 THEN
            (SELECT id FROM events WHERE events.run = runs.pk ORDER BY id DESC LIMIT 1 OFFSET $6)
        END) AS hidden_to
        FROM runs WHERE project = (SELECT pk FROM projects WHERE name = $1) AND name = $2
    )
    SELECT run.last_id, run.hidden_to, event.id, event.body,
        EXISTS (SELECT FROM epochs WHERE $3 > epochs.last_id AND $3 < epochs.first_id) AS is_lost
    FROM run
    LEFT JOIN LATERAL (
        SELECT id, body FROM (
            SELECT id, body, sum(octet_length(body)) OVER (ORDER BY id) - octet_length(body) AS before FROM (
                SELECT id, body FROM events
                WHERE events.run = run.pk AND id > greatest($3, run.hidden_to) AND id > $3 ORDER BY id LIMIT $4
            ) AS limited
        ) AS measured WHERE before = 0 OR before < $5
    ) AS event ON true
    ORDER BY event.id
"""
# A cursor that stands in what was lost may have a higher number than all that came instead.
_FEED: Final = f"""
    SELECT event.xid::text, r.name, event.id, event.body FROM (
        SELECT *, sum(octet_length(body)) OVER (ORDER BY xid, id) - octet_length(body) AS before FROM (
            SELECT xid, id, run, body FROM events
            WHERE project = (SELECT pk FROM projects WHERE name = $1)
            AND (xid, id) > (coalesce(({FIRST_NUMBER}), $2::text::xid8), $3)
            AND xid < {HORIZON}
            ORDER BY xid, id LIMIT $4
        ) AS limited
    ) AS event JOIN runs r ON r.pk = event.run
    WHERE before = 0 OR before < $5
    ORDER BY event.xid, event.id
"""  # noqa: S608 - put together from what stands in this program
_FEED_END: Final = f"SELECT ({HORIZON})::text"
_POSITION: Final = """
    SELECT xid::text, id FROM events
    WHERE project = (SELECT pk FROM projects WHERE name = $1) AND id >= $2 ORDER BY id LIMIT 1
"""
_LAST_ID: Final = """
    SELECT last_id FROM runs WHERE project = (SELECT pk FROM projects WHERE name = $1) AND name = $2
"""


class Position(NamedTuple):
    """A place in the feed: behind this event of this transaction."""

    xid: str
    id: int

    @property
    def cursor(self) -> str:
        return f"{self.xid}-{self.id}"


START: Final = Position("0", 0)


async def page(connection: Any, query: PageQuery) -> Page:
    if not (storable(query.project) and storable(query.run)):
        return Page(())
    rows = await connection.fetch(
        _PAGE, query.project, query.run, query.after, query.limit, query.max_bytes, query.keep
    )
    if not rows:
        return Page(())
    last, hidden_to = rows[0][0], rows[0][1]
    events = [StoredEvent(row[2], row[3]) for row in rows if row[2] is not None]
    is_lost = rows[0][4]
    if query.after >= hidden_to and not is_lost:
        return Page(events)
    return Page(events, oldest=events[0].id if events else last + 1)


async def feed(connection: Any, project: str, after: str | None, limit: int, max_bytes: int) -> Sequence[FeedItem]:
    position = await _resolve(connection, project, after) if storable(project) else None
    if position is None:
        return []
    rows = await connection.fetch(_FEED, project, position.xid, position.id, limit, max_bytes)
    return [FeedItem(Position(row[0], row[2]).cursor, row[1], StoredEvent(row[2], row[3])) for row in rows]


async def feed_end(connection: Any) -> str:
    """All that the feed shows has a smaller transaction number than this, and all that comes later has not."""
    return Position(await connection.fetchval(_FEED_END), 0).cursor


async def last_id(connection: Any, project: str | None, run: str | None) -> int:
    if project is None or run is None:
        return int(await connection.fetchval(NEWEST))
    if not (storable(project) and storable(run)):
        return 0
    return int(await connection.fetchval(_LAST_ID, project, run) or 0)


async def _resolve(connection: Any, project: str, cursor: str | None) -> Position | None:
    """Find the place of a cursor, or of the plain id of an event; nothing is behind an id not yet given out."""
    if cursor is None:
        return START
    parts = re.fullmatch(CURSOR, cursor)
    if parts is None:
        raise BadRequest("this is not a cursor of this feed", code="invalid_cursor", param="after")
    xid, event = parts[1], int(parts[2])
    if xid is not None:
        return Position(xid, event)
    if event == 0:
        return START
    row = await connection.fetchrow(_POSITION, project, event)
    if row is None:
        return None
    return Position(row[0], event if row[1] == event else row[1] - 1)
