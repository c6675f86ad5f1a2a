"""Steady load: every connection asks again as soon as it is answered."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.client import connected
from bench.cost import Spending
from bench.failed import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.client import Answer, Connection
    from bench.cost import Cost
    from bench.server import Server

MOST_REQUESTS: Final = 1_000_000
GRACE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it; every request was answered as it should be, or this does not exist."""

    latencies: Sequence[float]
    cost: Cost

    @property
    def count(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        return self.count / self.cost.seconds

    @property
    def story(self) -> str:
        return self.cost.story(self.count)


async def steady(
    server: Server, requests: Sequence[Iterator[bytes]], seconds: float, most: int = MOST_REQUESTS, status: int = 201
) -> Load:
    """Post what each iterator has next over a connection of its own, for so long or so often altogether."""
    async with connected(len(requests), *server.addresses) as connections:
        spending = Spending(server)
        until, budget = time.perf_counter() + seconds, iter(range(most))
        pairs = zip(connections, requests, strict=True)
        loops = [_Loop(connection, own, until, budget, status) for connection, own in pairs]
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            await asyncio.gather(*(loop.done for loop in loops))
        load = Load([latency for loop in loops for latency in loop.latencies], spending.so_far())
    refused = Counter(loop.refusal for loop in loops if loop.refusal is not None)
    if refused:
        raise Failed(f"not every request was answered {status}: {refused}")
    return load


class _Loop:
    """One connection that asks until it is late, the budget of all is spent, or it was refused."""

    def __init__(
        self, connection: Connection, requests: Iterator[bytes], until: float, budget: Iterator[int], status: int
    ) -> None:
        self.latencies: list[float] = []
        self.refusal: Answer | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._requests = requests
        self._until = until
        self._budget = budget
        self._status = status
        self._ask(time.perf_counter())

    def _ask(self, now: float) -> None:
        if now < self._until and next(self._budget, None) is not None:
            self._asked = now
            self._connection.send(next(self._requests), self._answered)
        else:
            self.done.set_result(None)

    def _answered(self, answer: Answer) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self._asked)
        if answer.status == self._status:
            self._ask(now)
        else:
            self.refusal = answer
            self.done.set_result(None)
