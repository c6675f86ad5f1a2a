"""Posts at a steady pace that does not wait for answers, into a run that many streams read."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.client import connected
from bench.cost import Spending
from bench.events import post_one
from bench.failed import Failed
from bench.numbers import percentile
from bench.streams import streaming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.client import Answer, Connection
    from bench.cost import Cost
    from bench.server import Server
    from bench.streams import Meter

_GRACE_SECONDS: Final = 30
_CONNECTIONS: Final = 32
_TIMED_EVERY: Final = 16
"""Looking at each frame's age costs more than counting it; the streams that do are spread over all."""


@dataclass(frozen=True, slots=True)
class Paced:
    """What came of it; every event was stored, and is on every stream once."""

    frames: int
    delays: Sequence[float]
    cost: Cost

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.cost.seconds

    @property
    def p50_ms(self) -> float:
        return percentile(self.delays, 50) * 1000

    @property
    def p99_ms(self) -> float:
        return percentile(self.delays, 99) * 1000

    @property
    def story(self) -> str:
        return self.cost.story(self.frames)


@dataclass(frozen=True, slots=True)
class Watched:
    """A run on many open streams, and connections to post to it."""

    server: Server
    run: str
    streams: int
    meter: Meter
    connections: Sequence[Connection]

    async def at_pace(self, per_second: float, seconds: float) -> Paced:
        """Post for so long, and wait until the last stream has the last frame."""
        meter, posts = self.meter, max(1, round(per_second * seconds))
        before, meter.delays = meter.frames, []
        posting = _Posting(self.connections, self.run, posts)
        spending, began = Spending(self.server), time.perf_counter()
        try:
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                for number in range(posts):
                    await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
                    posting.post()
                await posting.done
                await meter.until(before + posts * self.streams)
        except TimeoutError:
            missing = before + posts * self.streams - meter.frames
            raise Failed(f"{missing} frames did not arrive within {_GRACE_SECONDS} s of their events") from None
        return Paced(meter.frames - before, meter.delays, spending.so_far())


@asynccontextmanager
async def watched(server: Server, run: str, streams: int, written: Server | None = None) -> AsyncIterator[Watched]:
    """Posts go to the same server, or to another by whose bell this one learns of them."""
    async with (
        streaming(server.address, f"/api/runs/{run}/stream", streams, timed_every=_TIMED_EVERY) as meter,
        connected(_CONNECTIONS, (written or server).address) as connections,
    ):
        yield Watched(server, run, streams, meter, connections)


class _Posting:
    """Over whichever connection is free; an event that finds none waits, and its wait is part of its delay."""

    def __init__(self, connections: Sequence[Connection], run: str, posts: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._free = list(connections)
        self._waiting: deque[bytes] = deque()
        self._run = run
        self._unanswered = posts

    def post(self) -> None:
        self._waiting.append(post_one(self._run))
        if self._free:
            self._send(self._free.pop())

    def _send(self, connection: Connection) -> None:
        connection.send(self._waiting.popleft(), lambda answer: self._answered(connection, answer))

    def _answered(self, connection: Connection, answer: Answer) -> None:
        self._unanswered -= 1
        if self.done.done():
            return
        if answer.status != 201:
            self.done.set_exception(Failed(f"an event was answered {answer.status}: {answer.body[:200]!r}"))
        elif not self._unanswered:
            self.done.set_result(None)
        if self._waiting:
            self._send(connection)
        else:
            self._free.append(connection)
