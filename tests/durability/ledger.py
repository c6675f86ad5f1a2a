"""What clients were told, kept so that it can be compared with what is stored and with what was streamed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

from tests.durability.wire import CUT, PATIENCE, Connection, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from random import Random

    from tests.durability.wire import Address, Frame


class Sent(NamedTuple):
    """One POST: its marks name its events, and are their keys when it has some."""

    marks: list[str]
    keyed: bool
    floor: int
    """The newest id that anybody had been told when it was sent."""

    @property
    def body(self) -> object:
        events = [{"type": "tick", "payload": mark, **({"key": mark} if self.keyed else {})} for mark in self.marks]
        return events if len(events) > 1 else events[0]


class Ledger:
    """The acknowledged and the doubtful events of one run."""

    def __init__(self, run: str) -> None:
        self.path = f"/api/runs/{run}"
        self.newest = 0
        self.acknowledged: dict[str, int] = {}
        """The id that each first and last mark of a POST was given."""
        self.stored: set[str] = set()
        """Every mark that was acknowledged; it must be there once."""
        self.doubtful: set[str] = set()
        """Marks of a POST that was cut off and not sent again: they may be there once, or not at all."""
        self._news = asyncio.Event()

    def acknowledge(self, sent: Sent, first: int, last: int) -> None:
        assert first > sent.floor, f"{sent.marks} was given {first}, after somebody was told {sent.floor}"
        self.acknowledged.update({sent.marks[0]: first, sent.marks[-1]: last})
        self.stored.update(sent.marks)
        self.newest = max(self.newest, last)
        self._news.set()

    async def grows(self, by: int = 1) -> None:
        """Return once so many more events are acknowledged."""
        wanted = len(self.stored) + by
        async with asyncio.timeout(PATIENCE):
            while len(self.stored) < wanted:
                self._news.clear()
                await self._news.wait()

    def verify(self, found: list[tuple[int, str]]) -> None:
        """Compare with the events of the run, as ids and marks in the order in which they were read."""
        ids = [event for event, _ in found]
        assert ids == sorted(set(ids)), "ids do not grow"
        places = {mark: event for event, mark in found}
        assert len(places) == len(found), f"stored twice: {_repeated(found)}"
        assert not self.stored - places.keys(), "acknowledged and lost"
        assert not places.keys() - self.stored - self.doubtful, "stored and never sent"
        moved = {mark: event for mark, event in self.acknowledged.items() if places[mark] != event}
        assert not moved, "stored under another id than was answered"


class Producer:
    """Posts without pause; what is cut off it sends again if it has keys, and calls doubtful if not.

    `unsure` is for a database on the other end of a connection: one that is lost during a commit leaves the server
    itself in doubt, and its 503 does not say that nothing was stored.
    """

    def __init__(
        self, name: str, address: Address, ledger: Ledger, random: Random, *others: Address, unsure: bool = False
    ) -> None:
        """With others, each connection is to the next of them."""
        self._name = name
        self._addresses = cycle((address, *others))
        self._ledger = ledger
        self._random = random
        self._unsure = unsure
        self._count = 0
        self._connection: Connection | None = None
        self._refusals = 0
        self._refused = asyncio.Event()
        self.stopping = False

    async def run(self) -> None:
        while not self.stopping:
            await self._deliver(self._next())
        self._hang_up()

    async def is_refused(self, times: int = 1) -> None:
        """Return once the server answered 503 so many times more."""
        wanted = self._refusals + times
        async with asyncio.timeout(PATIENCE):
            while self._refusals < wanted:
                self._refused.clear()
                await self._refused.wait()

    def _next(self) -> Sent:
        size = self._random.choice((1, 1, 1, 5))
        marks = [f"{self._name}-{self._count + place}" for place in range(size)]
        self._count += size
        return Sent(marks, self._random.random() < 0.6, self._ledger.newest)

    async def _deliver(self, sent: Sent) -> None:
        while True:
            try:
                if self._connection is None:
                    self._connection = await Connection.open(next(self._addresses))
                answer = await self._connection.post(f"{self._ledger.path}/events", sent.body)
            except CUT:
                self._hang_up()
                if sent.keyed and not self.stopping:
                    continue
                self._ledger.doubtful.update(sent.marks)
                return
            if answer.status == 503:
                assert "retry-after" in answer.headers
                self._refusals += 1
                self._refused.set()
                if self._unsure and (self.stopping or not sent.keyed):
                    self._ledger.doubtful.update(sent.marks)
                    return
                if self.stopping:
                    return
                continue
            assert answer.status == 201, answer
            told = answer.json()
            self._ledger.acknowledge(sent, int(told.get("first") or told["id"]), int(told.get("last") or told["id"]))
            return

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Follower:
    """Reads a stream through every cut, from its last id on, and keeps what it saw."""

    def __init__(self, address: Address, path: str, after: str | None = None, *others: Address) -> None:
        """With others, it goes on at the next of them."""
        self._addresses = cycle((address, *others))
        self._path = path
        self.last = after
        self.frames: list[Frame] = []
        self.connections = 0
        self._news = asyncio.Event()

    async def run(self) -> None:
        while True:
            with suppress(*CUT, Refused):
                async with await Connection.open(next(self._addresses)) as connection:
                    async for frame in connection.follow(self._path, self.last):
                        self.take(frame)

    def take(self, frame: Frame) -> None:
        assert frame.event != "gap", frame
        self.connections += frame.comment == "connected"
        if frame.id:
            self.last = frame.id
            self.frames.append(frame)
        self._news.set()

    async def until(self, reached: Callable[[Follower], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not reached(self):
                self._news.clear()
                await self._news.wait()

    async def has(self, event: int) -> None:
        """Return once this event was seen; every earlier one of its run must have come before it."""
        await self.until(lambda self: bool(self.frames) and int(self.frames[-1].json()["id"]) >= event)


@asynccontextmanager
async def at_work(*workers: Producer | Follower) -> AsyncIterator[None]:
    """Run them beside the block: one that fails ends it; producers finish what they began, followers are cut."""
    async with asyncio.TaskGroup() as tasks:
        producing = [tasks.create_task(worker.run()) for worker in workers if isinstance(worker, Producer)]
        following = [tasks.create_task(worker.run()) for worker in workers if isinstance(worker, Follower)]
        yield
        for worker in workers:
            if isinstance(worker, Producer):
                worker.stopping = True
        if producing:
            await asyncio.wait(producing)
        for task in following:
            task.cancel()


async def events_of(address: Address, ledger: Ledger) -> list[tuple[int, str]]:
    """Everything that is stored of a run, page by page."""
    found: list[tuple[int, str]] = []
    async with await Connection.open(address) as connection:
        while True:
            after = found[-1][0] if found else 0
            page = (await connection.get(f"{ledger.path}/events?after={after}&limit=1000")).json()
            if not page:
                return found
            found += [(int(event["id"]), event["payload"]) for event in page]


def seen_by(follower: Follower) -> list[tuple[int, str]]:
    return [(int(event["id"]), event["payload"]) for event in (frame.json() for frame in follower.frames)]


def _repeated(found: list[tuple[int, str]]) -> list[str]:
    marks = [mark for _, mark in found]
    return sorted({mark for mark in marks if marks.count(mark) > 1})
