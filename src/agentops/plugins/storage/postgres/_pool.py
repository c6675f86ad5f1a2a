"""A bounded number of connections, a bounded number of those who wait for one, and a bounded wait."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from agentops.core.errors import Unavailable
from agentops.sql.postgres_server import spoils, translated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

WAITING_EACH: Final = 100
"""Who may wait for each connection: most reads take about a millisecond, so that the last waits for a tenth of a
second. More are there only when something is wrong, and would cost memory for a refusal that comes later."""

OVERLOADED: Final = "overloaded"
_MADE: Final = "agentops.made"


class Pool:
    """Hands out connections; one that hangs or may no longer write is given up, and with it all that are as old."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], size: int, wait_seconds: float) -> None:
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=size,
            max_overflow=0,
            pool_timeout=wait_seconds,
            hide_parameters=True,
        )
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._most_waiting = size * WAITING_EACH
        self._waiting = 0
        self._distrusted = 0.0
        event.listen(self._engine.sync_engine, "connect", _remember_when)
        event.listen(self._engine.sync_engine, "checkout", self._refuse_lost)
        event.listen(self._engine.sync_engine, "close", _say_nothing)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        with translated():
            async with self._taken(self._reading) as connection, self._judged(connection):
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        with translated():
            async with self._taken(self._engine) as connection, connection.begin(), self._judged(connection):
                yield connection

    @asynccontextmanager
    async def driver(self) -> AsyncGenerator[Any]:
        """The driver's own connection: half the time of a page goes into wrapping its rows."""
        async with self.read() as connection:
            yield await _driver_of(connection)

    def distrust(self) -> None:
        """Replace every connection that was made until now before it is used again."""
        self._distrusted = time.monotonic()

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def _taken(self, engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            with self._queued():
                connection = await stack.enter_async_context(engine.connect())
            yield connection

    @contextmanager
    def _queued(self) -> Generator[None]:
        if self._waiting >= self._most_waiting:
            raise Unavailable("more is asked of the database than it can answer", code=OVERLOADED)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def _judged(self, connection: AsyncConnection) -> AsyncGenerator[None]:
        """Break a spoilt connection off before anybody says a last word on it: that would hang, too.

        On one whose question was given up, the next would wait for the server to say that it heard of it.
        """
        try:
            yield
        except asyncio.CancelledError:
            await _break_off(connection)
            raise
        except Exception as error:
            if spoils(error):
                self.distrust()
                await _break_off(connection)
            raise

    def _refuse_lost(self, dbapi_connection: Any, record: Any, _proxy: object) -> None:
        """Make the pool replace what broke while it was idle, without asking the server each time."""
        driver = dbapi_connection.driver_connection
        if record.info[_MADE] <= self._distrusted:
            driver.terminate()
        if driver.is_closed():
            raise DisconnectionError


def _remember_when(_dbapi_connection: object, record: Any) -> None:
    record.info[_MADE] = time.monotonic()


def _say_nothing(dbapi_connection: Any, _record: object) -> None:
    """The server needs no goodbye of an idle connection, and one that froze would be waited for."""
    dbapi_connection.driver_connection.terminate()


async def _break_off(connection: AsyncConnection) -> None:
    if not connection.invalidated:
        (await _driver_of(connection)).terminate()
        await connection.invalidate()


async def _driver_of(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection
