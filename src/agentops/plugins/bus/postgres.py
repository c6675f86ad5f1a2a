"""The bell over Postgres: a channel to which every instance listens; one that has a database needs nothing else."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from agentops.core.plugin import Settings
from agentops.core.remote_bus import RemoteBus
from agentops.core.secret import Secret
from agentops.sql.postgres_server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

PING_SECONDS: Final = 5.0
"""A connection that is gone without a word is known by then."""
LETTERS_MOST: Final = 1_900
"""A notification holds less than 8,000 bytes, and a letter may have four."""
_NOTIFY: Final = """
    SELECT pg_notify($1, part) FROM unnest($2::text[]) WITH ORDINALITY AS parts (part, place) ORDER BY place
"""


class PostgresSettings(Settings):
    """`[bus]` with `use = "postgres"`."""

    url: Secret
    """Such as `postgresql://user:password@host:5432/agentops`; the storage's own will do. A pooler that hands a
    connection to somebody else after each transaction will not: it must be a way to the server itself."""
    channel: str = "agentops"
    """Where they meet: each deployment in one database has one of its own."""
    timeout_seconds: Annotated[float, Meta(gt=0)] = 2.0
    """An answer that takes longer is none."""


class Postgres(RemoteBus[PostgresSettings]):
    """Listens and notifies on one connection of its own, outside of every transaction that writes.

    In a transaction that writes, a notification would make all commits wait for one another.
    """

    @asynccontextmanager
    async def link(self) -> AsyncGenerator[_Channel]:
        timeout = self.settings.timeout_seconds
        connection: Any = await Server(self.settings.url, timeout, timeout).connect()
        try:
            channel = _Channel(connection, self.settings.channel)
            connection.add_termination_listener(channel.lost)
            await connection.add_listener(self.settings.channel, channel.heard)
            yield channel
        finally:
            connection.terminate()


class _Channel:
    def __init__(self, connection: Any, name: str) -> None:
        self._connection = connection
        self._name = name
        self._one_at_a_time = asyncio.Lock()
        self._arrived: asyncio.Queue[str | None] = asyncio.Queue()

    def heard(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        self._arrived.put_nowait(payload)

    def lost(self, _connection: Any) -> None:
        self._arrived.put_nowait(None)

    async def send(self, message: bytes) -> None:
        async with self._one_at_a_time:
            await self._connection.execute(_NOTIFY, self._name, _parts(message.decode()))

    async def received(self) -> AsyncIterator[bytes]:
        begun: dict[str, list[str]] = {}
        while True:
            arrived = await self._next()
            message, left, text = arrived.split(":", 2)
            begun.setdefault(message, []).append(text)
            if left == "0":
                yield "".join(begun.pop(message)).encode()

    async def _next(self) -> str:
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    arrived = await self._arrived.get()
            except TimeoutError:
                async with self._one_at_a_time:
                    await self._connection.execute("SELECT 1")
            else:
                if arrived is None:
                    raise ConnectionError("the server ended the connection")
                return arrived


def _parts(text: str) -> list[str]:
    """Each with the message it belongs to, and how many are left after it."""
    message = secrets.token_hex(6)
    texts = [text[start : start + LETTERS_MOST] for start in range(0, len(text), LETTERS_MOST)]
    return [f"{message}:{left}:{part}" for left, part in zip(range(len(texts) - 1, -1, -1), texts, strict=True)]
