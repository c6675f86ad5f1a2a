"""The part of a storage that is the same on every SQL database."""

from __future__ import annotations

import re
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, insert, select

from agentops.core.errors import BadRequest
from agentops.core.plugin import S
from agentops.core.ports.health import Health
from agentops.core.ports.storage import MARKS, RunQuery, Storage
from agentops.core.records import now_ms
from agentops.sql import runs
from agentops.sql.tables import marks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentops.core.records import Run, Status

CURSOR: Final = r"(?:([0-9]{1,19})-)?([0-9]{1,18})"
"""A place in the feed: an event's id, behind the number of its transaction where the database orders by that."""

PRUNED_AT_ONCE: Final = 2000
"""Rows deleted in one transaction: few enough that an append never waits long for it."""


async def all_of(some: Callable[[], Awaitable[int]]) -> int:
    """Call it until it finds nothing more to do; return how much it did altogether."""
    total = 0
    while done := await some():
        total += done
    return total


class SqlStorage(Storage[S]):
    """Runs and retention through `read()` and `write()`; appends and event reads are each database's own."""

    @property
    def critical(self) -> bool:
        return True

    async def health(self) -> Health:
        """A read, which also waits for a connection."""
        await self.read_rows("SELECT 1")
        return Health()

    async def create_run(self, project: str, run: str, title: str, status: Status) -> tuple[Run, bool]:
        async with self.write() as connection:
            return await runs.create(connection, project, run, title, status)

    async def get_run(self, project: str, run: str) -> Run | None:
        async with self.read() as connection:
            return await runs.get(connection, project, run)

    async def update_run(self, project: str, run: str, title: str | None, status: Status | None) -> Run | None:
        async with self.write() as connection:
            return await runs.change(connection, project, run, title, status)

    async def list_runs(self, project: str, query: RunQuery) -> Sequence[Run]:
        async with self.read() as connection:
            return await runs.listed(connection, project, query)

    async def overfull(self, keep: int) -> Sequence[tuple[str, str]]:
        async with self.read() as connection:
            return await runs.overfull(connection, keep)

    async def feed_misses(self, project: str, after: str) -> bool:
        if re.fullmatch(CURSOR, after) is None:
            raise BadRequest("this is not a cursor of this feed", code="invalid_cursor", param="after")
        event = int(after.rpartition("-")[2])
        async with self.read() as connection:
            pruned_to = await runs.pruned_to(connection, project)
        return event < pruned_to or event > await self.known(event)

    async def forget(self, keep_ms: int) -> int:
        now = now_ms()
        newest_old = select(marks).where(marks.c.at <= now - keep_ms).order_by(marks.c.at.desc()).limit(1)
        async with self.read() as connection:
            marked_at = (await connection.execute(select(func.max(marks.c.at)))).scalar() or 0
            old = (await connection.execute(newest_old)).one_or_none()
        if marked_at <= now - keep_ms // MARKS:
            await self._mark(now - keep_ms // MARKS)
        if old is None:
            return 0
        gone = await self._forget_to(old.upto)
        async with self.write() as connection:
            await connection.execute(delete(marks).where(marks.c.at < old.at))
        return gone

    async def prune(self, project: str, run: str, keep: int) -> int:
        return await all_of(partial(self._prune_some, project, run, keep))

    async def _mark(self, _due: int) -> None:
        """Note the newest id there is; one that several instances serve looks again whether none is newer than due."""
        last = await self.last_id()
        async with self.write() as connection:
            await connection.execute(insert(marks).values(upto=last, at=now_ms()))

    @abstractmethod
    async def _forget_to(self, upto: int) -> int:
        """Delete the events up to this id, as far as that can be done now."""

    @abstractmethod
    async def _prune_some(self, project: str, run: str, keep: int) -> int:
        """Delete the oldest of what is too much in one short transaction, at most `PRUNED_AT_ONCE` events."""
