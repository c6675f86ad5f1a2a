"""Keys that are in use and end soon, or did so lately: whoever sends them finds out by a 401."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from agentops.core.ports.diagnosis import Finding
from agentops.core.problem import Problem
from agentops.core.records import DAY_MS, now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentops.core.ports.diagnosis import Reads

SOON_DAYS: Final = 14
NAMED_MOST: Final = 3

_ENDING: Final = """
    SELECT id, name, owner, expires_at FROM keys
    WHERE prefix = ? AND revoked_at IS NULL AND expires_at BETWEEN ? AND ? AND last_used_at >= expires_at - ?
    ORDER BY expires_at
"""
"""The use of a key is noted while it is good, so one that ended is known by its use shortly before. One that was
rotated is left out: another has taken its place."""


async def ending(storage: Reads, prefix: str) -> Iterable[Finding]:
    now, soon = now_ms(), SOON_DAYS * DAY_MS
    ended = await storage.read_rows(_ENDING, prefix, now - soon, now, DAY_MS)
    ending = await storage.read_rows(_ENDING, prefix, now + 1, now + soon, 2 * soon)
    found = list[Finding]()
    if ended:
        what = f"{_named(ended)}: expired, and used until then"
        why = "whoever still sends such a key is answered 401"
        found.append(Finding("failing", Problem("", what, why, "make another: agentops keys create")))
    if ending:
        what = f"{_named(ending)}: in use, and ending within {SOON_DAYS} days"
        why = "then whoever sends such a key is answered 401"
        remedy = "replace it before, with a time in which both are good: agentops keys rotate ID --grace"
        found.append(Finding("risk", Problem("", what, why, remedy)))
    return found


def _named(rows: Sequence[Sequence[Any]]) -> str:
    keys = [f"{name!r} of {owner!r} ({key_id}, {_day(expires_at)})" for key_id, name, owner, expires_at in rows]
    more = f" and {len(keys) - NAMED_MOST} more" if len(keys) > NAMED_MOST else ""
    return f"{'keys' if len(keys) > 1 else 'key'} {', '.join(keys[:NAMED_MOST])}{more}"


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"
