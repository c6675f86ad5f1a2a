"""Hears what the program tells its telemetry, and keeps what somebody may have subscribed to."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from agentops.core.plugin import NoSettings
from agentops.core.ports.telemetry import Telemetry
from agentops.plugins.features.webhooks.outbox import Notice

if TYPE_CHECKING:
    from agentops.core.ports.telemetry import Level
    from agentops.plugins.features.webhooks.kinds import Kind

HEARD_MOST: Final = 1_000
"""What waits to be stored while the storage is away; then the oldest go."""
_EVENTS: Final[dict[str, Kind]] = {"health.changed": "health.changed", "budget.reached": "budget.reached"}
"""Kinds that can be subscribed to, by the events of telemetry that they are."""
_REFUSED: Final = frozenset({"auth_invalid_key", "auth_missing_header"})


class Ear(Telemetry[NoSettings]):
    """A sink of telemetry like any other, for what no table holds; it is kept here until it is stored."""

    def __init__(self, project: str, instance: str, burst: int, burst_seconds: float) -> None:
        """What is heard is of the server, and for those who run it: the subscribers of one project."""
        super().__init__()
        self._project = project
        self._instance = instance
        self._burst = burst
        self._burst_seconds = burst_seconds
        self._refused: dict[str, deque[float]] = {}
        self._quiet_until: dict[str, float] = {}
        self._heard: deque[Notice] = deque(maxlen=HEARD_MOST)
        self._something = asyncio.Event()

    def event(self, name: str, level: Level, fields: dict[str, object]) -> None:
        kind = _EVENTS.get(name)
        if kind is not None:
            self._hear(kind, fields)

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        """A burst is so many refusals of one lane within so many seconds, and is told once in ten times as many."""
        if name != "auth" or labels.get("outcome") not in _REFUSED:
            return
        lane, now = labels.get("lane", ""), time.monotonic()
        refused = self._refused.setdefault(lane, deque(maxlen=self._burst))
        refused.append(now)
        is_burst = len(refused) == self._burst and now - refused[0] <= self._burst_seconds
        if is_burst and now >= self._quiet_until.get(lane, 0.0):
            self._quiet_until[lane] = now + 10 * self._burst_seconds
            self._hear("auth.refused_burst", {"lane": lane, "refused": self._burst, "seconds": self._burst_seconds})

    async def wait(self, seconds: float) -> None:
        """Until something was heard, and for so long at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return

    def heard(self) -> list[Notice]:
        """All of it, oldest first; it is kept until it is `forget`-ed."""
        return list(self._heard)

    def forget(self, notices: list[Notice]) -> None:
        """These are stored. Of what was heard meanwhile, some may have pushed them out already."""
        stored = set(map(id, notices))
        while self._heard and id(self._heard[0]) in stored:
            self._heard.popleft()
        if not self._heard:
            self._something.clear()

    def _hear(self, kind: Kind, data: dict[str, object]) -> None:
        self._heard.append(Notice(kind, {**data, "instance": self._instance}, self._project))
        self._something.set()
