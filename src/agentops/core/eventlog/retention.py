"""Keeps each run's newest events, and those that are not too old, behind the append and never in its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agentops.core.ports.storage import MARKS

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage


DAY_MS: Final = 86_400_000
LOOK_SECONDS: Final = 60.0


class Retention:
    """Lets a run overshoot by a tenth before it deletes, so that many appends share the cost of one pruning."""

    def __init__(self, storage: Storage, keep: int) -> None:
        self.keep = keep
        self._storage = storage
        self._overfull: dict[tuple[str, str], None] = {}
        self._looked_back = not keep
        """Whether what an earlier process left behind is known; there is nothing to look for when all is kept."""
        self._work = asyncio.Event()

    def grown(self, project: str, run: str, kept: int) -> None:
        if self.keep and kept > self.keep + self.keep // 10:
            self._overfull[project, run] = None
            self._work.set()

    async def step(self) -> None:
        """Prune what has grown until now, then wait until something has."""
        if not self._looked_back:
            self._overfull.update(dict.fromkeys(await self._storage.overfull(self.keep)))
            self._looked_back = True
        while self._overfull:
            project, run = next(iter(self._overfull))
            del self._overfull[project, run]
            try:
                await self._storage.prune(project, run, self.keep)
            except Exception:
                self._overfull[project, run] = (
                    None  # behind the others, so that one that cannot be pruned holds none up
                )
                raise
        self._work.clear()
        await self._work.wait()


class Ageing:
    """Its step deletes what is older than so many days, then rests."""

    def __init__(self, storage: Storage, days: float) -> None:
        self._storage = storage
        self._keep_ms = max(1, int(days * DAY_MS))

    async def step(self) -> None:
        await self._storage.forget(self._keep_ms)
        await asyncio.sleep(min(LOOK_SECONDS, self._keep_ms / 1000 / MARKS))
