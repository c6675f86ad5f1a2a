"""What buses between processes have in common: rings are gathered, sent together, and heard by everybody else.

A ring that is lost costs a poll interval. So nothing waits for the other side: not a commit, not a start.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import abstractmethod
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import msgspec

from agentops.core.forever import ended
from agentops.core.listeners import Listeners
from agentops.core.plugin import S
from agentops.core.ports.bus import Bus, Ring
from agentops.core.ports.health import Health
from agentops.core.signals import Signals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from agentops.core.rungs import Rungs

WAITING_MOST: Final = 10_000
"""Runs whose newest ring waits to be sent while there is no way; the oldest are left to the poll."""
HEARD_MOST: Final = 10_000
"""Runs of which it is known how far was rung, so that a late ring is not heard after a newer one."""
RESTS: Final = 4
REST_MOST_SECONDS: Final = 0.03
SENT_AT_ONCE: Final = 500
FIRST_LINK_SECONDS: Final = 2.0
"""A server starts without its bus, but not before it tried."""
PAUSES: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


class Link(Protocol):
    """A way to the others, for as long as it holds; whatever it raises, it is lost."""

    async def send(self, message: bytes) -> None: ...

    def received(self) -> AsyncIterator[bytes]:
        """What anybody sent, this process included."""
        ...


class _Message(msgspec.Struct, array_like=True):
    sender: str
    rings: list[Ring]


_decode: Final = msgspec.json.Decoder(_Message).decode
_encode: Final = msgspec.json.Encoder().encode


class RemoteBus(Bus[S]):
    """A subclass says how to reach the others."""

    spans_processes: ClassVar = True

    def __init__(self, settings: S | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self._listeners = Listeners(Signals())
        self._name = ""
        self._waiting = _Newest(WAITING_MOST)
        self._heard = _Newest(HEARD_MOST)
        self._something = asyncio.Event()
        self._linked = asyncio.Event()
        self._told_lost = False

    @abstractmethod
    def link(self) -> AbstractAsyncContextManager[Link]:
        """Reach the others; entered, everything that is sent from then on is received."""

    @property
    def is_linked(self) -> bool:
        return self._linked.is_set()

    @property
    def critical(self) -> bool:
        """Without it streams are late, and nothing is lost."""
        return False

    async def health(self) -> Health:
        if self.is_linked:
            return Health()
        return Health("degraded", {"reason": "the others cannot be reached; what they write is seen by polling"})

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._listeners.signals = rungs.signals
        self._name = secrets.token_hex(8)
        self._something, self._linked = asyncio.Event(), asyncio.Event()
        linking = asyncio.create_task(self._keep_linked(), name="agentops bus")
        try:
            async with asyncio.timeout(FIRST_LINK_SECONDS):
                await self._linked.wait()
        except TimeoutError:
            pass
        try:
            yield
        finally:
            await ended(linking)

    def ring(self, ring: Ring) -> None:
        if self._heard.takes(ring):
            self._listeners.tell(ring)
        self._waiting.takes(ring)
        self._something.set()

    def listen(self, listener: Callable[[Ring], None]) -> Callable[[], None]:
        return self._listeners.add(listener)

    async def _keep_linked(self) -> None:
        pauses = iter(PAUSES)
        while True:
            try:
                async with self.link() as link:
                    self._tell_link()
                    pauses = iter(PAUSES)
                    await self._exchange(link)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises, it is tried again
                self._tell_loss(error)
            await asyncio.sleep(next(pauses, PAUSES[-1]))

    async def _exchange(self, link: Link) -> None:
        """Until either way fails."""
        ways = [asyncio.create_task(self._send(link)), asyncio.create_task(self._receive(link))]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            await ended(*ways)

    async def _send(self, link: Link) -> None:
        """Rest `RESTS` times as long as it took: the busier all are, the more rings go out together.

        A driver may swallow that this is cancelled while it sends, as redis-py does.
        """
        this = asyncio.current_task()
        while this is not None and not this.cancelling():
            await self._something.wait()
            self._something.clear()
            began = time.perf_counter()
            for rings in self._waiting.taken(SENT_AT_ONCE):
                await link.send(_encode(_Message(self._name, rings)))
            await asyncio.sleep(min(REST_MOST_SECONDS, RESTS * (time.perf_counter() - began)))

    async def _receive(self, link: Link) -> None:
        async for received in link.received():
            try:
                message = _decode(received)
            except msgspec.MsgspecError:
                self._listeners.signals.event("bus.misunderstood", "warning", bytes=len(received))
                continue
            if message.sender != self._name:
                for ring in message.rings:
                    if self._heard.takes(ring):
                        self._listeners.tell(ring)

    def _tell_link(self) -> None:
        self._linked.set()
        self._told_lost = False
        self._listeners.signals.event("bus.linked")

    def _tell_loss(self, error: Exception) -> None:
        """Once, however often it is tried again."""
        self._linked.clear()
        if not self._told_lost:
            self._told_lost = True
            meaning = "streams see what other instances write by polling"
            self._listeners.signals.event("bus.lost", "warning", reason=type(error).__name__, meaning=meaning)


class _Newest:
    """How far each run was rung, of so many runs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._upto: OrderedDict[tuple[str, str], int] = OrderedDict()

    def takes(self, ring: Ring) -> bool:
        """Whether it is news."""
        run = ring.project, ring.run
        if ring.upto <= self._upto.get(run, -1):
            return False
        self._upto[run] = ring.upto
        self._upto.move_to_end(run)
        if len(self._upto) > self._most:
            self._upto.popitem(last=False)
        return True

    def taken(self, at_once: int) -> Iterator[list[Ring]]:
        """Everything, a few at a time; what comes meanwhile is kept for the next time."""
        upto, self._upto = self._upto, OrderedDict()
        rings = [Ring(*run, newest) for run, newest in upto.items()]
        for start in range(0, len(rings), at_once):
            yield rings[start : start + at_once]
