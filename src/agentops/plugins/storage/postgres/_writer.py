"""The one connection that appends: opened again when it is lost, and given up when anything unforeseen happens."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import Unavailable
from agentops.plugins.storage.postgres._append import NoPart, append_batch
from agentops.sql.postgres_server import Server, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentops.core.errors import Refusal
    from agentops.core.ports.storage import Append, Appended

Prepare = Callable[[Any], Awaitable[None]]
MakeRoom = Callable[[Any, int], Awaitable[None]]

RUNS_AT_ONCE: Final = 200
"""Runs in one transaction: each is a lock, and the server has room for some thousands over all instances."""

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 5.0


class Writer:
    """Appends one batch after the other."""

    def __init__(self, server: Server, connection: Any, prepare: Prepare, make_room: MakeRoom) -> None:
        """`prepare` is called with each new connection, `make_room` when there is no part for so many ids."""
        self._server = server
        self._connection = connection
        self._prepare = prepare
        self._make_room = make_room
        self._turn = asyncio.Lock()
        self._delay = FIRST_DELAY
        self._not_before = 0.0

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
            await self._connection.close(timeout=LONGEST_DELAY)

    async def _append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        answers: list[Appended | Refusal] = []
        async with self._turn:
            for part in _parts(batch):
                try:
                    answers.extend(await self._append_part(part))
                except Unavailable as refusal:
                    if not answers:
                        raise
                    answers.extend([refusal] * len(part))
        return answers

    async def _append_part(self, part: Sequence[Append]) -> Sequence[Appended | Refusal]:
        with translated():
            await self._reconnect_if_lost()
            try:
                return await self._store(part)
            except Unavailable:
                raise
            except BaseException:
                self._connection.terminate()
                raise

    async def _store(self, part: Sequence[Append]) -> Sequence[Appended | Refusal]:
        try:
            return await append_batch(self._connection, part)
        except NoPart:
            await self._make_room(self._connection, sum(len(append.events) for append in part))
            return await append_batch(self._connection, part)

    async def _reconnect_if_lost(self) -> None:
        if not self._connection.is_closed():
            return
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            raise Unavailable("nothing can be stored now: the database cannot be reached")
        self._not_before = now + self._delay
        self._delay = min(2 * self._delay, LONGEST_DELAY)
        connection = await self._server.connect()
        try:
            await self._prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        self._delay = FIRST_DELAY


def _parts(batch: Sequence[Append]) -> Iterator[Sequence[Append]]:
    part: list[Append] = []
    runs: set[tuple[str, str]] = set()
    for append in batch:
        runs.add((append.project, append.run))
        if len(runs) > RUNS_AT_ONCE:
            yield part
            part, runs = [], {(append.project, append.run)}
        part.append(append)
    if part:
        yield part
