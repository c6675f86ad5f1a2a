"""The one connection that appends: opened again when it is lost, and given up when anything unforeseen happens."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import Unavailable
from agentops.plugins.storage.postgres._append import NoPart, append_batch
from agentops.sql.postgres_server import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentops.core.errors import Refusal
    from agentops.core.ports.storage import Append, Appended
    from agentops.plugins.storage.postgres._way import Way

MakeRoom = Callable[[Any, int], Awaitable[None]]

LOCKS_AT_ONCE: Final = 200
"""In one transaction; the server has room for some thousands over all instances."""
GOODBYE_SECONDS: Final = 1.0


class Writer:
    """Appends one batch after the other."""

    def __init__(self, way: Way, connection: Any, make_room: MakeRoom) -> None:
        """`make_room` is called when there is no part for so many ids."""
        self._way = way
        self._connection = connection
        self._make_room = make_room
        self._turn = asyncio.Lock()

    async def append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        """Run to the end also when the caller is cancelled: a transaction is never left half done."""
        work = asyncio.ensure_future(self._append(batch))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    async def close(self) -> None:
        async with self._turn:
            with suppress(Exception):  # the driver breaks off what it cannot close
                await self._connection.close(timeout=GOODBYE_SECONDS)

    async def _append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        answers: list[Appended | Refusal] = []
        async with self._turn:
            for some in _in_turns(batch):
                try:
                    answers.extend(await self._append_some(some))
                except Unavailable as refusal:
                    if not answers:
                        raise
                    answers.extend([refusal] * len(some))
        return answers

    async def _append_some(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        with translated():
            await self._reconnect_if_lost()
            try:
                return await self._store(batch)
            except BaseException:
                self._connection.terminate()
                raise

    async def _store(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        try:
            return await append_batch(self._connection, batch)
        except NoPart:
            await self._make_room(self._connection, sum(len(append.events) for append in batch))
            return await append_batch(self._connection, batch)

    async def _reconnect_if_lost(self) -> None:
        if self._connection.is_closed():
            self._connection = await self._way.connect()


def _in_turns(batch: Sequence[Append]) -> Iterator[Sequence[Append]]:
    """As many of them at once as take no more than `LOCKS_AT_ONCE`, of runs and by name."""
    some: list[Append] = []
    locks: set[tuple[str, ...]] = set()
    for append in batch:
        own = {(append.project, append.run), *((name,) for each in append.statements for name in each.locks)}
        locks |= own
        if some and len(locks) > LOCKS_AT_ONCE:
            yield some
            some, locks = [], own
        some.append(append)
    if some:
        yield some
