"""A standby that answers what can be answered late; whatever happens to it, nobody waits for it for long.

It is asked while it is known to hold the primary's own past: that is looked after in the background, for each of its
connections when it is made, and again with each answer as far as the server tells. All else is left to the primary.
"""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from agentops.core.errors import BadRequest
from agentops.core.ports.health import Health
from agentops.plugins.storage.postgres._pool import OVERLOADED, Pool
from agentops.plugins.storage.postgres._standing import PRIMARY, STANDBY, Standing, Unfit, require_fit
from agentops.plugins.storage.postgres._way import Pause
from agentops.sql.postgres_server import cause_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentops.core.ports.diagnosis import Reads
    from agentops.core.signals import Signals
    from agentops.sql.postgres_server import Server

LOOK_SECONDS: Final = 5.0
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
QUEUED_PART: Final = 0.1
"""Of the time that an answer may take, what may go into waiting for a connection: the primary has others."""
BEHIND_SECONDS: Final = 60.0
"""From then on health says so: pages are as right as ever, and more of them are asked of the primary."""
_CONFLICT: Final = "40"
"""The class of errors by which a standby gives up a statement so that it can go on replaying."""

T = TypeVar("T")


class Replica:
    """Its step looks once after it; `ask` answers nothing when the primary has to be asked."""

    def __init__(self, server: Server, size: int, timeout: float, primary: Reads, signals: Signals) -> None:
        self._server = server
        self._timeout = timeout
        self._reads = primary
        self._signals = signals
        self._pool = Pool(self._connect, size, timeout * QUEUED_PART)
        self._pause = Pause(FIRST_PAUSE, LONGEST_PAUSE)
        self._lag = Lag()
        self._primary: Standing | None = None
        self._lost: str | None = "it has not been asked yet"
        self._told_lost = False
        self._seconds = 0.0

    @property
    def health(self) -> Health:
        details: dict[str, Any] = {"replica": self._lost or "in use"}
        if self._lost is None:
            details["replica_behind_seconds"] = round(self._seconds, 1)
        is_well = not self._told_lost and self._seconds < BEHIND_SECONDS
        return Health("healthy" if is_well else "degraded", details)

    async def ask(self, question: Callable[[Any], Awaitable[T]]) -> T | None:
        if self._lost is not None:
            return None
        try:
            return await self._answer(question)
        except Exception as error:  # noqa: BLE001 - the primary is asked next, and raises what there is to raise
            if not _is_passing(error):
                self._lose(error)
            return None

    async def step(self) -> None:
        await self._look()
        await asyncio.sleep(LOOK_SECONDS if self._lost is None else self._pause.longer())

    async def close(self) -> None:
        await self._pool.close()

    async def _look(self) -> None:
        """The primary first: whatever has been replayed by then is all that there was."""
        try:
            (row,) = await self._reads.read_rows(PRIMARY)
        except asyncpg.PostgresError as error:  # it may not be asked what it is, so there is nothing to compare
            self._lose(error)
            return
        before, self._primary = self._primary, Standing.of(row)
        if before is not None and before.history != self._primary.history:
            self._pool.distrust()
        try:
            standing = Standing.of(await self._answer(lambda connection: connection.fetchrow(STANDBY)))
            require_fit(standing, self._primary)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no reason to end
            if not _is_passing(error):
                self._lose(error)
            return
        self._seconds = self._lag.seconds(time.monotonic(), self._primary.come_to, standing.come_to)
        self._signals.gauge("replica.behind_seconds", self._seconds)
        if self._lost is None:
            self._pause.over()
        else:
            self._find()

    async def _answer(self, question: Callable[[Any], Awaitable[T]]) -> T:
        async with asyncio.timeout(self._timeout), self._pool.driver() as connection:
            answer = await question(connection)
            if getattr(connection.get_settings(), "in_hot_standby", "on") != "on":
                raise Unfit("it is no longer a standby")
            return answer

    async def _connect(self) -> Any:
        """A name may stand for several servers: each connection is judged by itself."""
        connection = await self._server.connect()
        try:
            if self._primary is not None:  # pragma: no branch - it is known before anybody connects
                require_fit(Standing.of(await connection.fetchrow(STANDBY)), self._primary)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _lose(self, error: Exception) -> None:
        reason = _words(error)
        self._pool.distrust()
        self._lost = reason
        if not self._told_lost:
            self._told_lost = True
            meaning = "pages are read from the primary, and nothing is late or missing"
            self._signals.event("replica.lost", "warning", place=self._server.place, reason=reason, meaning=meaning)

    def _find(self) -> None:
        self._lost = None
        if self._told_lost:
            self._told_lost = False
            self._signals.event("replica.back", place=self._server.place)


class Lag:
    """How far behind a standby is, by one clock: for how long it has lacked something that the primary had."""

    def __init__(self) -> None:
        self._unseen: list[tuple[float, int]] = []

    def seconds(self, now: float, primary: int, standby: int) -> float:
        self._unseen = [(then, place) for then, place in (*self._unseen, (now, primary)) if place > standby]
        if len(self._unseen) > _NOTED_MOST:
            del self._unseen[1::2]
        return now - self._unseen[0][0] if self._unseen else 0.0


_NOTED_MOST: Final = 1_000


def _is_passing(error: Exception) -> bool:
    """Whether it is about this one question: a cursor that is none, too many questions, or replay that went first."""
    cause = cause_of(error)
    if isinstance(cause, asyncpg.PostgresError):
        return str(getattr(cause, "sqlstate", "")).startswith(_CONFLICT)
    return isinstance(cause, (PoolTimeoutError, BadRequest)) or getattr(cause, "code", "") == OVERLOADED


def _words(error: Exception) -> str:
    """Why it cannot be used, without a word of a driver's that could tell too much."""
    cause = cause_of(error)
    if isinstance(cause, Unfit):
        return str(cause)
    return "no answer in time" if isinstance(cause, TimeoutError) else type(cause).__name__
