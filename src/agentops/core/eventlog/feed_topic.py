"""The ring of the feed over all runs of a project."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agentops.core.eventlog.topic import PAGE_BYTES, PAGE_EVENTS, RING_BYTES, RING_EVENTS, Chunk, Topic, bounded
from agentops.core.forever import forever
from agentops.core.records import EventSplicer
from agentops.core.serving import apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.ports.storage import FeedItem, Storage
    from agentops.core.signals import Signals


class FeedTopic(Topic[str]):
    """The storage decides the feed's order, so one reader follows it there and fills the ring for all streams.

    `_cursors[i]` stands before `_frames[i]`, and the last cursor behind the last frame.
    """

    def __init__(self, storage: Storage, signals: Signals, project: str) -> None:
        super().__init__()
        self._storage = storage
        self._signals = signals
        self.project = project
        self._cursors: list[str] = []
        self._frames: list[bytes] = []
        self._bytes = 0
        self._index: dict[str, int] = {}
        self._trimmed = 0
        self._rung = asyncio.Event()
        self._standing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._follower = apart(self._follow())

    @property
    def end(self) -> str:
        return self._cursors[-1]

    async def started(self) -> None:
        """Return once this topic stands at the end of the feed as it is now."""
        await asyncio.shield(self._standing)

    def stop(self) -> None:
        self._follower.cancel()

    def ring(self) -> None:
        self._rung.set()

    def has_news(self, cursor: str) -> bool:
        return cursor != self.end

    def _place(self, cursor: str) -> None:
        self._index[cursor] = self._trimmed + len(self._cursors)
        self._cursors.append(cursor)

    async def _follow(self) -> None:
        try:
            self._place(await self._storage.feed_end(self.project))
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait for the start
            self._standing.set_exception(error)
            return
        self._standing.set_result(None)
        await forever(self._signals, "feed", self._read_on)

    async def _read_on(self) -> None:
        await self._rung.wait()
        self._rung.clear()
        try:
            while items := await self._read(self.end):
                self._push(items)
        except Exception:
            self._rung.set()
            raise

    def _push(self, items: Sequence[FeedItem]) -> None:
        for item in items:
            frame = _frame(item).encode()
            self._frames.append(frame)
            self._bytes += len(frame)
            self._place(item.cursor)
        while len(self._frames) > 1 and (len(self._frames) > RING_EVENTS or self._bytes > RING_BYTES):
            self._drop(len(self._frames) // 4 or 1)
        self._joined.clear()
        self.wake()

    def _drop(self, count: int) -> None:
        for cursor in self._cursors[:count]:
            del self._index[cursor]
        self._bytes -= sum(map(len, self._frames[:count]))
        del self._cursors[:count], self._frames[:count]
        self._trimmed += count

    def _from_ring(self, cursor: str) -> Chunk[str] | None:
        place = self._index.get(cursor)
        if place is None or cursor == self.end:
            return None
        first = place - self._trimmed
        past = first + bounded(self._frames, first)
        return Chunk(b"".join(self._frames[first:past]), self._cursors[past])

    async def _from_storage(self, cursor: str) -> Chunk[str] | None:
        items = await self._read(cursor)
        return Chunk("".join(map(_frame, items)).encode(), items[-1].cursor) if items else None

    async def _read(self, cursor: str) -> Sequence[FeedItem]:
        return await self._storage.feed(self.project, cursor, PAGE_EVENTS, PAGE_BYTES)


def _frame(item: FeedItem) -> str:
    return f"id: {item.cursor}\ndata: {EventSplicer(item.run).json(item.event)}\n\n"
