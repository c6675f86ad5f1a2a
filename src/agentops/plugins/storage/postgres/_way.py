"""The way to a server: while it is closed, nobody tries it all the time, and many instances not all at once."""

from __future__ import annotations

import asyncio
from random import uniform
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


class Pause:
    """How long to wait before the next try: longer after each failure, and never as long as others do."""

    def __init__(self, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def longer(self) -> float:
        seconds = uniform(0.5, 1) * self._next  # noqa: S311 - so that a crowd does not come back in step
        self._next = min(2 * self._next, self._longest)
        return seconds

    def over(self) -> None:
        self._next = self._first


class Way:
    """Connects; between a failure and the next try, everybody is refused at once."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._pause = Pause()
        self._not_before = 0.0

    async def connect(self) -> Any:
        now = asyncio.get_running_loop().time
        if now() < self._not_before:
            raise Unavailable("nothing can be stored or read now: the database cannot be reached")
        try:
            connection = await self._connect()
        except Exception:
            if now() >= self._not_before:  # else another try, made at the same time, has seen to it
                self._not_before = now() + self._pause.longer()
            raise
        self._pause.over()
        return connection
