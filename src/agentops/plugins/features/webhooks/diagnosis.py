"""Webhooks at which nothing arrives: whoever subscribed is told nothing, and that by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentops.core.ports.diagnosis import Finding
from agentops.core.problem import Problem
from agentops.core.records import DAY_MS, now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentops.core.ports.diagnosis import Reads, Weight

LATE_MS: Final = 15 * 60 * 1000
PARKED_MS: Final = 7 * DAY_MS

_LATE: Final = """
    SELECT webhook, count(*) FROM deliveries WHERE state = 'waiting' AND at < ?
    AND webhook IN (SELECT id FROM webhooks WHERE disabled_at IS NULL) GROUP BY webhook ORDER BY webhook
"""
_PARKED: Final = """
    SELECT webhook, count(*) FROM deliveries WHERE state = 'parked' AND kind <> 'test' AND at > ?
    GROUP BY webhook ORDER BY webhook
"""
_ENDED: Final = "SELECT id, disabled_because FROM webhooks WHERE disabled_because IS NOT NULL ORDER BY id"


async def undelivered(storage: Reads) -> Iterable[Finding]:
    now = now_ms()
    late = await storage.read_rows(_LATE, now - LATE_MS)
    parked = await storage.read_rows(_PARKED, now - PARKED_MS)
    ended = await storage.read_rows(_ENDED)
    look = "see what its target answered: GET /webhooks/{id}/deliveries"
    again = f"{look}?state=parked; then POST …/deliveries/{{id}}/again"
    return [
        *(_finding("failing", f"{webhook}: {count} messages have waited for long", look) for webhook, count in late),
        *(_finding("risk", f"{webhook}: {count} messages were given up this week", again) for webhook, count in parked),
        *(_finding("risk", f"{webhook} is stopped: {why}", "remove it, or enable it") for webhook, why in ended),
    ]


def _finding(weight: Weight, what: str, remedy: str) -> Finding:
    return Finding(weight, Problem("", what, "whoever subscribed is not told what happens", remedy))
