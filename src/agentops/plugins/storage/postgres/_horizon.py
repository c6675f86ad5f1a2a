"""How far behind the feed over all runs is held: by the oldest transaction that writes, whoever's it is.

What such a transaction wrote may appear anywhere behind its number, so nothing behind it is shown before it ends.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentops.core.ports.diagnosis import Reads
    from agentops.core.signals import Signals

LOOK_SECONDS: Final = 5.0
HELD_SECONDS: Final = 60.0
"""From then on it is worth a warning."""

_LOOK: Final = """
    SELECT pg_snapshot_xmin(now)::text, pg_snapshot_xmax(now)::text FROM pg_current_snapshot() AS now
"""


class Horizon:
    """Its step looks once: for how long the same transaction has been the oldest, whoever may see whose it is."""

    def __init__(self, reads: Reads, signals: Signals) -> None:
        self._reads = reads
        self._signals = signals
        self._oldest = ""
        self._since = 0.0
        self._is_held = False

    async def step(self) -> None:
        ((oldest, next_one),) = await self._reads.read_rows(_LOOK)
        now = time.monotonic()
        if oldest != self._oldest or oldest == next_one:
            self._oldest, self._since = oldest, now
        seconds = now - self._since
        self._signals.gauge("feed.held_seconds", seconds)
        self._tell(seconds)
        await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, seconds: float) -> None:
        """Once when it begins, and once when it is over."""
        if (seconds >= HELD_SECONDS) == self._is_held:
            return
        self._is_held = not self._is_held
        if self._is_held:
            meaning = "streams and pages over all runs wait for a transaction of this database to end; nothing is lost"
            self._signals.event("feed.held", "warning", seconds=round(seconds), meaning=meaning)
        else:
            self._signals.event("feed.goes_on")
