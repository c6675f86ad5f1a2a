"""The one connection that appends: opened again when it is lost, and never left inside a transaction."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import Unavailable
from agentops.plugins.storage.postgres._append import append_batch
from agentops.sql.postgres_server import spoils, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentops.core.errors import Refusal
    from agentops.core.ports.storage import Append, Appended
    from agentops.plugins.storage.postgres._way import Way

RUNS_AT_ONCE: Final = 200
"""Runs in one transaction: each is a lock, and the server has room for some thousands over all instances."""
GOODBYE_SECONDS: Final = 1.0


class Writer:
    """Appends one batch after the other."""

    def __init__(self, way: Way, connection: Any) -> None:
        self._way = way
        self._connection = connection
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
                return await append_batch(self._connection, part)
            except BaseException as error:
                await self._leave_transaction(error)
                raise

    async def _reconnect_if_lost(self) -> None:
        if self._connection.is_closed():
            self._connection = await self._way.connect()

    async def _leave_transaction(self, error: BaseException) -> None:
        """A connection that cannot even roll back is given up, and so is one on which nothing would be answered."""
        if spoils(error):
            self._connection.terminate()
            return
        try:
            await self._connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001  whatever it is, the next append gets another connection
            self._connection.terminate()


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
