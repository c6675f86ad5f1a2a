"""Connections to one provider: kept while they rest, never more than so many, and whoever waits is served in turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from agentops.core.ports.model import ModelLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentops.outgoing.connection import Connection

REST_MOST: Final = 30.0
"""Seconds. Many a provider closes what rests for a minute."""

_CLOSED: Final = "the server stops, and asks nobody any more"


class Pool:
    def __init__(self, connect: Callable[[], Awaitable[Connection]], most: int, wait_seconds: float) -> None:
        self._connect = connect
        self._most = most
        self._wait_seconds = wait_seconds
        self._loop = asyncio.get_running_loop()
        self._taken: set[Connection] = set()
        self._connecting = 0
        self._resting: deque[Connection] = deque()
        self._line: deque[asyncio.Future[None]] = deque()
        self._promised = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def under_way(self) -> int:
        """How many are in use."""
        return len(self._taken)

    async def take(self, *, fresh: bool = False) -> Connection:
        """One that rested, else a new one; `fresh` is only ever a new one."""
        if self._room <= 0 or self._line:
            await self._wait_in_line()
        if not fresh:
            while self._resting:
                connection = self._resting.pop()
                if connection.alive:
                    self._taken.add(connection)
                    return connection
        self._connecting += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._connecting -= 1
            self._let_in()
            raise
        self._connecting -= 1
        if self._is_closed:
            connection.abort()
            raise ModelLost(_CLOSED)
        self._taken.add(connection)
        return connection

    def give(self, connection: Connection) -> None:
        """Take it back, to rest if it is still alive."""
        self._taken.discard(connection)
        if connection.alive:
            connection.rests_since = self._loop.time()
            self._resting.append(connection)
            if self._sweep is None:
                self._sweep = self._loop.call_later(REST_MOST, self._end_long_rests)
        self._let_in()

    def close(self) -> None:
        """End them all, also those in use; nobody is to wait for another."""
        self._is_closed = True
        for turn in self._line:
            if not turn.done():
                turn.set_exception(ModelLost(_CLOSED))
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in (*self._resting, *self._taken):
            connection.abort()
        self._resting.clear()

    @property
    def _room(self) -> int:
        return self._most - len(self._taken) - self._connecting - self._promised

    async def _wait_in_line(self) -> None:
        turn = self._loop.create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except TimeoutError:
            raise ModelLost(
                f"all {self._most} connections to the provider were in use for {self._wait_seconds:g} s"
            ) from None
        finally:
            if turn in self._line:
                self._line.remove(turn)
            elif not turn.cancelled():
                self._promised -= 1
                self._loop.call_soon(self._let_in)  # whoever had the turn may have left in the same moment

    def _let_in(self) -> None:
        while self._line and self._room > 0:
            turn = self._line.popleft()
            if not turn.done():
                self._promised += 1
                turn.set_result(None)

    def _end_long_rests(self) -> None:
        self._sweep = None
        long_ago = self._loop.time() - REST_MOST
        while self._resting and (self._resting[0].rests_since <= long_ago or not self._resting[0].alive):
            self._resting.popleft().abort()
        if self._resting:
            when = self._resting[0].rests_since + REST_MOST
            self._sweep = self._loop.call_at(when, self._end_long_rests)
