"""SQLite that fails or waits when it is told to, and an event log on top of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentops import EventSettings, Rungs
from agentops.core.eventlog import EventLog, Stream
from agentops.core.ports.storage import Appended
from agentops.core.records import NewEvent
from agentops.core.signals import Signals
from agentops.plugins.bus.memory import Memory
from agentops.plugins.storage.sqlite import Sqlite
from tests.core.parts import Kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from agentops.core.errors import Refusal
    from agentops.core.ports.storage import Append, FeedItem, Page, PageQuery

PROJECT = "default"
OPENING = b": connected\n\n"


class Faulty(Sqlite):
    """Raises `error` instead of whatever it is asked for, and appends only while the gate is open."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.error: Exception | None = None
        self.failed = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.pages = 0
        self.life_number = 0
        self.epochs_asked = 0
        self.cannot_prune: Exception | None = None
        self.answers_short = False
        self.waits_for_others = False
        self.pruned = asyncio.Event()

    def _fail(self) -> None:
        if self.error is not None:
            self.failed.set()
            raise self.error

    async def append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        self.batches.append(len(batch))
        await self.gate.wait()
        self._fail()
        answers = await super().append(batch)
        if self.waits_for_others:
            answers = [each._replace(waited=True) for each in answers if isinstance(each, Appended)]
        return answers[:1] if self.answers_short else answers

    async def page(self, query: PageQuery) -> Page:
        self.pages += 1
        self._fail()
        return await super().page(query)

    async def last_id(self, project: str | None = None, run: str | None = None) -> int:
        self._fail()
        return await super().last_id(project, run)

    async def epoch(self) -> int:
        self._fail()
        self.epochs_asked += 1
        return self.life_number

    async def feed(self, project: str, after: str | None, limit: int, max_bytes: int) -> Sequence[FeedItem]:
        self._fail()
        return await super().feed(project, after, limit, max_bytes)

    async def overfull(self, keep: int) -> Sequence[tuple[str, str]]:
        self._fail()
        return await super().overfull(keep)

    async def prune(self, project: str, run: str, keep: int) -> int:
        if self.cannot_prune is not None:
            raise self.cannot_prune
        gone = await super().prune(project, run, keep)
        self.pruned.set()
        return gone


@dataclass(frozen=True, slots=True)
class Log:
    """An event log that is up, and the parts it is made of."""

    events: EventLog
    storage: Faulty
    bus: Memory
    told: Kept

    async def add(self, run: str, *kinds: str) -> list[int]:
        """Append an event of each kind at once, and return their ids."""
        return list((await self.events.append(PROJECT, run, [event(kind) for kind in kinds])).ids)

    async def stored(self, run: str) -> list[int]:
        events, _ = await self.events.page(PROJECT, run, 0, 10_000)
        return [each.id for each in events]


def event(kind: str, key: str | None = None) -> NewEvent:
    return NewEvent(f'{{"type":"{kind}"}}', key)


@asynccontextmanager
async def started(storage: Faulty, settings: EventSettings) -> AsyncIterator[Log]:
    signals, told, bus = Signals(), Kept(), Memory()
    events = EventLog(storage, bus, signals, settings)
    async with storage.life(Rungs(signals=signals)):
        with signals.told_to(told):
            async with events.life():
                try:
                    yield Log(events, storage, bus, told)
                finally:
                    storage.gate.set()


async def read(stream: Stream[Any], frames: int) -> list[bytes]:
    """The next so many frames of a stream, whatever the chunks they come in."""
    text = b""
    async with asyncio.timeout(10):
        while text.count(b"\n\n") < frames and not stream.ended:
            text += stream.at_hand() or await stream.fetched()
    return [frame + b"\n\n" for frame in text.split(b"\n\n")[:-1]]


async def opened(log: Log, run: str, after: int | None = None) -> Stream[int]:
    stream = await log.events.follow(PROJECT, run, after)
    assert stream.at_hand().startswith(OPENING)
    return stream


async def opened_feed(log: Log, after: str | None = None) -> Stream[str]:
    return await log.events.follow_feed(PROJECT, after)


def frame(run: str, number: int, kind: str) -> bytes:
    return f'id: {number}\ndata: {{"id":"{number}","runId":"{run}","type":"{kind}"}}\n\n'.encode()


async def read_nothing(stream: Stream[Any]) -> bool:
    """Let the stream ask the storage once, so that it sleeps."""
    try:
        await asyncio.wait_for(read(stream, 1), 0.05)
    except TimeoutError:
        return True
    return False
