"""Rows that many requests ask for at once, each by its look-up id, read with one query."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentops.core.errors import Unavailable
from agentops.core.forever import ended
from agentops.plugins.auth.hashed_keys._rows import Row, by_lookup

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from agentops.core.ports.storage import Storage

    _Asked = tuple[str, asyncio.Future[Row | None]]

SIZES: Final = (1, 4, 32)
"""How many a query asks for; few, because a database prepares each once."""

_QUERIES: Final = {size: by_lookup(size) for size in SIZES}


class Slow(NamedTuple):
    """What makes a line a slow one: how many go at once, the seconds before each go, and how many may wait."""

    at_once: int
    pause: float
    most: int


class Line:
    """One query at a time, and whoever asks meanwhile is in the next: no row is older than the request for it."""

    def __init__(self, storage: Storage[Any], slow: Slow | None = None) -> None:
        self._storage = storage
        self._slow = slow
        self._at_once = SIZES[-1] if slow is None else slow.at_once
        self._waiting: list[_Asked] = []
        self._asking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if self._asking is not None:
                await ended(self._asking)

    async def row(self, lookup: str) -> Row | None:
        if self._slow is not None and len(self._waiting) >= self._slow.most:
            raise Unavailable("more unknown credentials arrive than can be looked up", code="overloaded")
        answer: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lookup, answer))
        self._asking = self._asking or asyncio.create_task(self._ask_all())
        return await answer

    async def _ask_all(self) -> None:
        asked: list[_Asked] = []
        try:
            while self._waiting:
                if self._slow is not None:
                    await asyncio.sleep(self._slow.pause)
                asked, self._waiting = self._waiting[: self._at_once], self._waiting[self._at_once :]
                await self._ask(asked)
        finally:
            self._asking = None
            for _, answer in [*asked, *self._waiting]:
                answer.cancel()

    async def _ask(self, asked: Sequence[_Asked]) -> None:
        size = next(size for size in SIZES if size >= len(asked))
        lookups = [lookup for lookup, _ in asked]
        lookups += lookups[-1:] * (size - len(lookups))
        try:
            found = [Row(*row) for row in await self._storage.read_rows(_QUERIES[size], *lookups)]
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        rows = {row.lookup: row for row in found}
        for lookup, answer in asked:
            if not answer.done():
                answer.set_result(rows.get(lookup))
