"""All open streams of this instance, and the topics they read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import Unavailable
from agentops.core.eventlog.feed_topic import FeedTopic
from agentops.core.eventlog.run_topic import RunTopic
from agentops.core.eventlog.stream import Stream
from agentops.core.eventlog.topic import C, Topic, gap_frame
from agentops.core.ports.bus import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.config.settings import EventSettings
    from agentops.core.ports.bus import Ring
    from agentops.core.ports.storage import Storage
    from agentops.core.records import StoredEvent
    from agentops.core.signals import Signals

CONNECTED: Final = b": connected\n\n"
STALL_CHECK_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 1.0
"""What a reader that takes nothing is given when the server stops: it would hold it up."""


class Hub:
    """A topic lives while somebody reads it; a run that nobody streams costs nothing here."""

    def __init__(self, storage: Storage, signals: Signals, settings: EventSettings) -> None:
        self._storage = storage
        self._signals = signals
        self._settings = settings
        self._runs: dict[tuple[str, str], RunTopic] = {}
        self._feeds: dict[str, FeedTopic] = {}
        self._streams: set[Stream[Any]] = set()
        self._epoch: int | None = None
        self._polled = 0
        self._draining = False

    def reads(self, project: str, run: str) -> bool:
        return (project, run) in self._runs

    def committed(self, project: str, run: str, previous: int, events: Sequence[StoredEvent]) -> None:
        """Take what was just committed here to a run that somebody reads."""
        self._runs[project, run].push(previous, events)

    def heard(self, ring: Ring) -> None:
        """Take a ring: there is something to read, perhaps written by another instance."""
        if ring.project == CREDENTIALS:
            return
        topic = self._runs.get((ring.project, ring.run))
        if topic is not None:
            topic.heard(ring.upto)
        feed = self._feeds.get(ring.project)
        if feed is not None:
            feed.ring()

    async def follow(self, project: str, run: str, after: int | None) -> Stream[int]:
        """Stream a run behind an id, or from now on; the stream is to be closed."""
        self._refuse_when_draining()
        topic = self._runs.get((project, run))
        if topic is None:
            topic = self._runs[project, run] = RunTopic(self._storage, project, run, self._settings.retention)
        topic.readers += 1
        try:
            opening = CONNECTED
            if after is None:
                cursor = await self._storage.last_id(project, run)
            else:
                cursor = await self._storage.known(after)
                if cursor != after:
                    opening += gap_frame(str(after), str(cursor + 1)).encode()
            return self._open(topic, cursor, opening)
        except BaseException:
            self._leave(topic)
            raise

    async def follow_feed(self, project: str, after: str | None) -> Stream[str]:
        """Stream all runs of a project behind a cursor, or from now on; the stream is to be closed."""
        self._refuse_when_draining()
        topic = self._feeds.get(project)
        if topic is None:
            topic = self._feeds[project] = FeedTopic(self._storage, self._signals, project)
        topic.readers += 1
        try:
            await topic.started()
            opening, cursor = CONNECTED, topic.end
            if after is not None:
                missing = await self._storage.feed_misses(project, after)
                frames, cursor = await topic.behind(after) or (b"", topic.end if missing else after)
                if missing:
                    oldest = frames.removeprefix(b"id: ").partition(b"\n")[0].decode() or topic.end
                    opening += gap_frame(after, oldest).encode()
                opening += frames
            return self._open(topic, cursor, opening)
        except BaseException:
            self._leave(topic)
            raise

    def drain(self) -> None:
        """End every stream, and take no new one; their readers resume elsewhere."""
        self._draining = True
        for stream in self._streams:
            stream.end()

    async def close_stalled(self) -> None:
        """After a while, end the streams whose reader has taken nothing for too long."""
        await asyncio.sleep(STALL_CHECK_SECONDS)
        seconds = self._settings.stall_seconds
        if self._draining:
            seconds = min(seconds, DRAIN_SECONDS)
        latest = asyncio.get_running_loop().time() - seconds
        for stream in [s for s in self._streams if s.blocked_since is not None and s.blocked_since < latest]:
            self._signals.event("stream.stalled", "info", seconds=seconds)
            stream.blocked_since = None
            stream.on_stall()

    async def poll(self) -> None:
        """After a while, find what was written without a ring: a lost one, or a process that has no bell."""
        await asyncio.sleep(self._settings.poll_seconds)
        for feed in self._feeds.values():
            feed.ring()
        if self._runs:
            newest = await self._storage.last_id()
            for topic in list(self._runs.values()) if newest != self._polled else ():
                topic.heard(await self._storage.last_id(topic.project, topic.run))
            self._polled = newest
        if self._streams:
            await self._end_streams_of_another_epoch()

    async def _end_streams_of_another_epoch(self) -> None:
        """What their cursors stand behind may be lost, and what the rings hold: readers come again, and are told."""
        epoch = await self._storage.epoch()
        if self._epoch not in (None, epoch):
            self._runs.clear()
            self._feeds.clear()
            for stream in self._streams:
                stream.end()
        self._epoch = epoch

    def _refuse_when_draining(self) -> None:
        if self._draining:
            raise Unavailable("the server is shutting down", code="draining")

    def _open(self, topic: Topic[C], cursor: C, opening: bytes) -> Stream[C]:
        stream = Stream(topic, cursor, self._settings.heartbeat_seconds, opening, self._close)
        self._streams.add(stream)
        self._signals.gauge("streams.open", len(self._streams))
        if not self._is_current(topic):  # another epoch began meanwhile, and nobody rings here any more
            stream.end()
        return stream

    def _close(self, stream: Stream[Any]) -> None:
        self._streams.discard(stream)
        self._signals.gauge("streams.open", len(self._streams))
        self._leave(stream.topic)

    def _leave(self, topic: Topic[Any]) -> None:
        topic.readers -= 1
        if topic.readers:
            return
        is_current = self._is_current(topic)
        if isinstance(topic, FeedTopic):
            topic.stop()
            if is_current:
                del self._feeds[topic.project]
        elif isinstance(topic, RunTopic) and is_current:
            del self._runs[topic.project, topic.run]

    def _is_current(self, topic: Topic[Any]) -> bool:
        """Whether it is what whoever asks for the same run or feed is given now."""
        if isinstance(topic, RunTopic):
            return self._runs.get((topic.project, topic.run)) is topic
        return isinstance(topic, FeedTopic) and self._feeds.get(topic.project) is topic
