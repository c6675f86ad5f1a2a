"""The event log: what features append to, read from and follow."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from agentops.core.eventlog.hub import Hub
from agentops.core.eventlog.retention import Ageing, Retention
from agentops.core.eventlog.writer import GroupCommit
from agentops.core.forever import in_background
from agentops.core.ports.bus import Ring
from agentops.core.ports.storage import Append, PageQuery
from agentops.core.records import StoredEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from agentops.core.config.settings import EventSettings
    from agentops.core.ports.bus import Bus
    from agentops.core.ports.storage import Appended, FeedItem, Statement, Storage
    from agentops.core.records import NewEvent, Status
    from agentops.core.signals import Signals

READ_BYTES: Final = 32 * 1024 * 1024
"""What one page may weigh; a page of larger events holds fewer of them."""


class EventLog:
    """Storage is the truth and the bus a doorbell: nothing is streamed that was not committed or read back."""

    def __init__(self, storage: Storage, bus: Bus, signals: Signals, settings: EventSettings) -> None:
        self._storage = storage
        self._bus = bus
        self._signals = signals
        self._writer = GroupCommit(storage, settings, signals, self._committed)
        self._retention = Retention(storage, settings.retention)
        self._days = settings.retention_days
        self._hub = Hub(storage, signals, settings)
        self.follow = self._hub.follow
        self.follow_feed = self._hub.follow_feed
        self.drain = self._hub.drain

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[None]:
        writer = asyncio.create_task(self._writer.run(), name="agentops writer")
        steps = {"retention": self._retention.step, "poll": self._hub.poll, "stalled": self._hub.close_stalled}
        if self._days:
            steps["ageing"] = Ageing(self._storage, self._days).step
        async with in_background(self._signals, steps):
            silence = self._bus.listen(self._hub.heard)
            try:
                yield
            finally:
                self._hub.drain()
                self._writer.close()
                try:
                    await writer
                finally:
                    silence()

    async def append(
        self,
        project: str,
        run: str,
        events: Sequence[NewEvent],
        status: Status | None = None,
        statements: Sequence[Statement] = (),
    ) -> Appended:
        """Store events and return once they are committed; `status` is the run's from then on.

        The statements are a feature's own changes, carried out in the same transaction.
        """
        with self._signals.span("store events", events=len(events)):
            return await self._writer.submit(Append(project, run, events, status, statements))

    async def change(self, statements: Sequence[Statement], *, lasting: bool = True) -> Appended:
        """Carry out a feature's own changes, in one transaction with whatever else waits to be committed."""
        with self._signals.span("store changes", statements=len(statements)):
            return await self._writer.submit(Append("", "", (), None, statements, lasting))

    async def page(self, project: str, run: str, after: int, limit: int) -> tuple[Sequence[StoredEvent], bool]:
        """A run's events behind an id, and whether there are more behind them."""
        query = PageQuery(project, run, after, limit + 1, READ_BYTES, keep=self._retention.keep)
        events = (await self._storage.page(query)).events
        return events[:limit], _more(events, limit)

    async def feed(self, project: str, after: str | None, limit: int) -> tuple[Sequence[FeedItem], bool]:
        """Events of all runs behind a cursor, and whether there are more behind them."""
        items = await self._storage.feed(project, after, limit + 1, READ_BYTES)
        return items[:limit], _more([item.event for item in items], limit)

    def _committed(self, stored: Sequence[tuple[Append, Appended]]) -> None:
        newest: dict[tuple[str, str], Appended] = {}
        added = sum(len(append.events) - len(appended.repeats) for append, appended in stored)
        self._signals.count("events.stored", added)
        for append, appended in stored:
            if not append.is_of_run:
                continue
            newest[append.project, append.run] = appended
            if self._hub.reads(append.project, append.run):
                self._hand_on(append, appended)
            if append.status is not None:
                self._signals.count("runs.changed", status=append.status)
        self._signals.count("doorbells.rung", len(newest))
        for (project, run), appended in newest.items():
            self._bus.ring(Ring(project, run, appended.last))
            self._retention.grown(project, run, appended.kept)

    def _hand_on(self, append: Append, appended: Appended) -> None:
        events = map(StoredEvent, appended.ids, (event.body for event in append.events))
        fresh = [event for position, event in enumerate(events) if position not in appended.repeats]
        if fresh:
            self._hub.committed(append.project, append.run, appended.previous, fresh)


def _more(events: Sequence[StoredEvent], limit: int) -> bool:
    """A page ends at its limit, or because of what it weighs."""
    return len(events) > limit or sum(len(event.body) for event in events) >= READ_BYTES
