"""What streams of one thing share: the ring of recent frames, the pages behind it, and the bell that wakes them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.eventlog.stream import Stream

PAGE_EVENTS: Final = 1_000
PAGE_BYTES: Final = 256 * 1024
RING_EVENTS: Final = 1_024
RING_BYTES: Final = 1024 * 1024
JOINED_MOST: Final = 8
"""Joined chunks that are kept; streams that follow live stand at one or two places."""
UNNOTICED_SECONDS: Final = 0.001

C = TypeVar("C")


class Chunk(NamedTuple, Generic[C]):
    """Frames that are ready to be sent, and the cursor behind the last of them."""

    data: bytes
    cursor: C


def gap_frame(after: str, oldest: str) -> str:
    return f"event: gap\ndata: {msgspec.json.encode({'after': after, 'oldest': oldest}).decode()}\n\n"


def bounded(frames: Sequence[bytes], first: int) -> int:
    """How many frames, from the first on, make one chunk: as much as a page, so that a slow reader holds no more."""
    size = 0
    for place in range(first, len(frames)):
        size += len(frames[place])
        if size >= PAGE_BYTES:
            return place + 1 - first
    return len(frames) - first


class Topic(ABC, Generic[C]):
    """Streams hold a cursor and ask for what is behind it; equal questions are answered once."""

    def __init__(self) -> None:
        self.readers = 0
        self.bells = 0
        self._telling = self._untold = False
        self._sleepers: dict[Stream[C], asyncio.Future[None]] = {}
        self._pages: dict[tuple[C, int], asyncio.Task[Chunk[C] | None]] = {}
        self._joined: dict[C, Chunk[C]] = {}

    def sleep(self, stream: Stream[C]) -> asyncio.Future[None]:
        """A future that is resolved when there is news which the stream could not hand on in its sleep."""
        future = asyncio.get_running_loop().create_future()
        self._sleepers[stream] = future
        return future

    def forget(self, stream: Stream[C]) -> None:
        self._sleepers.pop(stream, None)

    def wake(self) -> None:
        """Tell the sleeping streams that there is news, or remember to when they have just been told.

        To tell thousands takes a while. As long again is left to everything else before it is done once more, and
        what is committed meanwhile goes out together.
        """
        self.bells += 1
        if self._telling:
            self._untold = True
        else:
            self._tell()

    def _tell(self) -> None:
        self._telling, self._untold = True, False
        loop = asyncio.get_running_loop()
        started = loop.time()
        for stream in [stream for stream in self._sleepers if not stream.hand_on()]:
            future = self._sleepers.pop(stream)
            if not future.done():
                future.set_result(None)
        loop.call_soon(self._told, loop, started)

    def _told(self, loop: asyncio.AbstractEventLoop, started: float) -> None:
        took = loop.time() - started
        if took < UNNOTICED_SECONDS:
            self._rested()
        else:
            loop.call_later(took, self._rested)

    def _rested(self) -> None:
        self._telling = False
        if self._untold:
            self._tell()

    def recent(self, cursor: C) -> Chunk[C] | None:
        """What the ring holds behind the cursor, if the ring reaches back to it."""
        chunk = self._joined.get(cursor)
        if chunk is None:
            chunk = self._from_ring(cursor)
            if chunk is not None:
                if len(self._joined) >= JOINED_MOST:
                    self._joined.clear()
                self._joined[cursor] = chunk
        return chunk

    async def behind(self, cursor: C) -> Chunk[C] | None:
        """What is stored behind the cursor; streams that ask for the same page since the last bell share one query."""
        question = (cursor, self.bells)
        page = self._pages.get(question)
        if page is None:
            page = asyncio.ensure_future(self._from_storage(cursor))
            self._pages[question] = page
            page.add_done_callback(lambda _: self._pages.pop(question, None))
        return await asyncio.shield(page)

    @abstractmethod
    def has_news(self, cursor: C) -> bool:
        """Whether there may be something behind the cursor."""

    @abstractmethod
    def _from_ring(self, cursor: C) -> Chunk[C] | None: ...

    @abstractmethod
    async def _from_storage(self, cursor: C) -> Chunk[C] | None: ...
