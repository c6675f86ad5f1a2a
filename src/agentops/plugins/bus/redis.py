"""The bell over Redis: a channel on which every instance publishes, and which all of them hear."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from agentops.core.plugin import Settings
from agentops.core.remote_bus import RemoteBus
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

PING_SECONDS = 5.0
"""A connection that is gone without a word is known by then."""


class RedisSettings(Settings):
    """`[bus]` with `use = "redis"`."""

    url: Secret
    """Such as `redis://127.0.0.1:6379/0`, with what it needs to get in."""
    channel: str = "agentops"
    """Where they meet: each deployment has one of its own. The number of a Redis database does not part channels."""
    timeout_seconds: Annotated[float, Meta(gt=0)] = 2.0
    """An answer that takes longer is none."""


class Redis(RemoteBus[RedisSettings]):
    """Publishes from one connection and subscribes with another."""

    @asynccontextmanager
    async def link(self) -> AsyncGenerator[_Channel]:
        client: Any = Client.from_url(  # pyright: ignore[reportUnknownMemberType]
            self.settings.url.reveal(),
            socket_timeout=self.settings.timeout_seconds,
            socket_connect_timeout=self.settings.timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        async with client, client.pubsub(ignore_subscribe_messages=False) as subscription:
            await subscription.subscribe(self.settings.channel)
            yield _Channel(client, subscription, self.settings.channel)


class _Channel:
    def __init__(self, client: Any, subscription: Any, name: str) -> None:
        self._client = client
        self._subscription = subscription
        self._name = name

    async def send(self, message: bytes) -> None:
        await self._client.publish(self._name, message)

    async def received(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._subscription.get_message(timeout=PING_SECONDS)
            if message is None:
                await self._subscription.ping()
            elif message["type"] == "message":
                yield message["data"]
