"""The ring of one run."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from agentops.core.eventlog.topic import (
    PAGE_BYTES,
    PAGE_EVENTS,
    RING_BYTES,
    RING_EVENTS,
    Chunk,
    Topic,
    bounded,
    gap_frame,
)
from agentops.core.ports.storage import PageQuery
from agentops.core.records import EventSplicer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.ports.storage import Storage
    from agentops.core.records import StoredEvent


class RunTopic(Topic[int]):
    """One run that somebody streams.

    The ring is unbroken from `_base`: it holds every event of the run with a greater id, up to its newest.
    """

    def __init__(self, storage: Storage, project: str, run: str, keep: int) -> None:
        super().__init__()
        self.project = project
        self.run = run
        self._storage = storage
        self._splicer = EventSplicer(run)
        self._keep = keep
        self._last = 0
        self._base: int | None = None
        self._ids: list[int] = []
        self._frames: list[bytes] = []
        self._bytes = 0

    def push(self, previous: int, events: Sequence[StoredEvent]) -> None:
        """Take events that were committed here; another instance's in between break the ring and start it anew."""
        newest = self._ids[-1] if self._ids else self._base
        if previous != newest:
            self._base = previous
            self._ids.clear()
            self._frames.clear()
            self._bytes = 0
        for event in events:
            frame = self._splicer.frame(event).encode()
            self._ids.append(event.id)
            self._frames.append(frame)
            self._bytes += len(frame)
        self._trim()
        self.heard(events[-1].id)

    def heard(self, upto: int) -> None:
        if upto > self._last:
            self._last = upto
            self._joined.clear()
            self.wake()

    def has_news(self, cursor: int) -> bool:
        return self._last > cursor

    def _trim(self) -> None:
        most = min(RING_EVENTS, self._keep or RING_EVENTS)
        if len(self._ids) <= most and self._bytes <= RING_BYTES:
            return
        drop = max(0, len(self._ids) - most * 3 // 4)
        freed = sum(map(len, self._frames[:drop]))
        while self._bytes - freed > RING_BYTES and drop < len(self._ids):
            freed += len(self._frames[drop])
            drop += 1
        self._base = self._ids[drop - 1]
        del self._ids[:drop], self._frames[:drop]
        self._bytes -= freed

    def _from_ring(self, cursor: int) -> Chunk[int] | None:
        if self._base is None or cursor < self._base or not self._ids or cursor >= self._ids[-1]:
            return None
        first = bisect_right(self._ids, cursor)
        if cursor != (self._ids[first - 1] if first else self._base):
            return None  # no event of this run, or one that was lost with a restored database: the storage knows
        past = first + bounded(self._frames, first)
        return Chunk(b"".join(self._frames[first:past]), self._ids[past - 1])

    async def _from_storage(self, cursor: int) -> Chunk[int] | None:
        page = await self._storage.page(
            PageQuery(self.project, self.run, cursor, PAGE_EVENTS, PAGE_BYTES, keep=self._keep)
        )
        if not page.events:
            return None
        frames = [gap_frame(str(cursor), str(page.oldest))] if page.oldest is not None else []
        frames.extend(map(self._splicer.frame, page.events))
        newest = page.events[-1].id
        self.heard(newest)
        return Chunk("".join(frames).encode(), newest)
