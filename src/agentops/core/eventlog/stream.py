"""One reader: a cursor that asks its topic for what is behind it, and sleeps when there is nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic

from agentops.core.eventlog.topic import C
from agentops.core.records import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.core.eventlog.topic import Topic


class Stream(Generic[C]):
    """The bytes of a server-sent event stream, a chunk at a time, until it has `ended`.

    Thousands of these wake for one event, so what is at hand is taken without awaiting anything.
    """

    __slots__ = (
        "_beat_due",
        "_beats",
        "_cursor",
        "_heartbeat",
        "_on_close",
        "_opening",
        "_sleep",
        "_unread",
        "blocked_since",
        "ended",
        "on_stall",
        "topic",
        "write_at_once",
    )

    def __init__(
        self, topic: Topic[C], cursor: C, heartbeat: float, opening: bytes, on_close: Callable[[Stream[C]], None]
    ) -> None:
        self.topic = topic
        self._cursor = cursor
        self._opening = opening
        self._on_close = on_close
        self._unread = True
        self._heartbeat = heartbeat
        self._beat_due = False
        self._beats = asyncio.get_running_loop().call_later(heartbeat, self._beat)
        self._sleep: asyncio.Future[None] | None = None
        self.ended = False
        self.blocked_since: float | None = None
        """When the write began that its reader has not taken yet; kept by whoever writes the chunks."""
        self.on_stall: Callable[[], None] = self.end
        self.write_at_once: Callable[[bytes], bool] | None = None
        """A way to write without waking the task of this stream; answers whether it did."""

    def at_hand(self) -> bytes:
        """The next chunk if it can be had at once, else nothing."""
        if self._opening:
            opening, self._opening = self._opening, b""
            return opening
        if self._beat_due:
            self._beat_due = False
            return b": heartbeat %d\n\n" % now_ms()
        chunk = self.topic.recent(self._cursor)
        if chunk is None:
            return b""
        self._cursor = chunk.cursor
        return chunk.data

    def hand_on(self) -> bool:
        """Write what is at hand without being woken for it, if there is a way; false asks to be woken."""
        if self.write_at_once is None or self.ended:
            return False
        while (chunk := self.topic.recent(self._cursor)) is not None:
            if not self.write_at_once(chunk.data):
                return False
            self._cursor = chunk.cursor
        return not self.topic.has_news(self._cursor)

    async def fetched(self) -> bytes:
        """The next chunk from storage; with nothing there, nothing, once there may be something at hand."""
        bells = self.topic.bells
        if self._unread or self.topic.has_news(self._cursor):
            chunk = await self.topic.behind(self._cursor)
            self._unread = chunk is not None
            if chunk is not None:
                self._cursor = chunk.cursor
                return chunk.data
        if self.topic.bells == bells and not (self.ended or self._beat_due):
            self._sleep = self.topic.sleep(self)
            await self._sleep
        return b""

    def end(self) -> None:
        """Let nothing more be sent: the reader has gone, or the server is going."""
        self.ended = True
        self._beats.cancel()
        self._awaken()

    def close(self) -> None:
        """Give back what this reader holds; to be called once, whatever happened."""
        self.end()
        self._on_close(self)

    def _beat(self) -> None:
        self._beat_due = True
        self._beats = asyncio.get_running_loop().call_later(self._heartbeat, self._beat)
        self._awaken()

    def _awaken(self) -> None:
        self.topic.forget(self)
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)
