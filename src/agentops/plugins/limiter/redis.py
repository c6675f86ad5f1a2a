"""Counts that every instance shares, in Redis."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from msgspec import Meta
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from agentops.core.errors import Unavailable
from agentops.core.plugin import Settings
from agentops.core.ports.diagnosis import Finding, Question, fine
from agentops.core.ports.health import Health
from agentops.core.ports.limiter import Limiter, Verdict
from agentops.core.problem import Problem
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from agentops.core.ports.diagnosis import Reads
    from agentops.core.ports.limiter import Rate

CONNECTIONS_MOST: Final = 16

_HIT: Final = """
local slots = 60
local time = redis.call('TIME')
local now, cost = time[1] * 1000000 + time[2], tonumber(ARGV[1])

local counted = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local seconds, slot = fields[i]:match('^(%d+):(%d+)$')
    counted[seconds] = counted[seconds] or {}
    table.insert(counted[seconds], {tonumber(slot), tonumber(fields[i + 1]), fields[i]})
end

local wait, longest, left, current = 0, 0, {}, {}
for i = 2, #ARGV, 2 do
    local amount, seconds = tonumber(ARGV[i]), ARGV[i + 1]
    local width = seconds * 1000000 / slots
    local newest = math.floor(now / width)
    local room, held = amount, {}
    for _, entry in ipairs(counted[seconds] or {}) do
        if entry[1] < newest - slots or entry[1] > newest then
            redis.call('HDEL', KEYS[1], entry[3])
        else
            room = room - entry[2]
            table.insert(held, entry)
        end
    end
    if cost > room then
        local needed = seconds * 1000000
        table.sort(held, function(a, b) return a[1] < b[1] end)
        local freed = room
        for _, entry in ipairs(held) do
            freed = freed + entry[2]
            if cost <= freed then
                needed = (entry[1] + slots + 1) * width - now
                break
            end
        end
        wait = math.max(wait, needed)
    end
    current[seconds] = newest
    longest = math.max(longest, tonumber(seconds))
    table.insert(left, room)
end

if wait == 0 then
    for seconds, slot in pairs(current) do
        redis.call('HINCRBY', KEYS[1], seconds .. ':' .. string.format('%.0f', slot), cost)
    end
    redis.call('EXPIRE', KEYS[1], longest * 2)
    for i = 1, #left do left[i] = left[i] - cost end
end
return {math.ceil(wait), left}
"""
"""One hash for each key: a field for each slot of each window, `seconds:slot`. Slots that lie before their window are
deleted, and those that lie ahead, for then the clock of the server was set back."""


class RedisSettings(Settings):
    """`[limiter]` with `use = "redis"`."""

    url: Secret
    """Such as `redis://127.0.0.1:6379/0`, with what it needs to get in."""
    prefix: str = "agentops:limit:"
    """Before each name, so that several deployments may share a server."""
    timeout_seconds: Annotated[float, Meta(gt=0)] = 1.0
    """An answer that takes longer is none."""


class Redis(Limiter[RedisSettings]):
    """All windows of a key are looked at and counted in one step, by the clock of the server."""

    spans_processes: ClassVar[bool] = True

    _client: Any

    def check(self) -> Iterable[Problem]:
        if not self.settings.url.reveal().startswith(("redis://", "rediss://", "unix://")):
            yield Problem(
                "url",
                "this is no address of a Redis",
                "nothing could be counted",
                "write redis://host:port/0, rediss:// for TLS, or unix:///path/of/a/socket",
            )

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        """Nothing is connected yet: a server that is away is asked by every hit.

        The one more try is for a connection that broke while it was not used, as all do when the server restarts.
        """
        seconds = self.settings.timeout_seconds
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            self.settings.url.reveal(),
            max_connections=CONNECTIONS_MOST,
            timeout=seconds,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 1),
        )
        async with Client(connection_pool=pool) as client:
            self._client, self._hit = client, client.register_script(_HIT)
            yield
        await pool.aclose()

    @property
    def critical(self) -> bool:
        """Each lane says what happens without it."""
        return False

    async def health(self) -> Health:
        await self._client.ping()
        return Health()

    def questions(self, storage: Reads) -> Iterable[Question]:
        yield Question("Redis", self._reachable)

    async def _reachable(self) -> Iterable[Finding]:
        began = time.monotonic()
        try:
            async with self.life(Rungs()):
                await self.health()
        except (RedisError, OSError) as error:
            what = f"Redis does not answer ({type(error).__name__})"
            why = 'nobody is limited, or all are refused where a lane says `when_down = "closed"`'
            remedy = "see that it runs, and that its address and password in the url are right"
            return [Finding("failing", Problem("url", what, why, remedy))]
        return [fine(f"Redis answers in {(time.monotonic() - began) * 1000:.0f} ms")]

    async def hit(self, key: str, rates: Sequence[Rate], cost: int = 1) -> Verdict:
        numbers = [number for rate in rates for number in (rate.amount, rate.seconds)]
        try:
            wait, left = await self._hit(keys=[f"{self.settings.prefix}{key}"], args=[cost, *numbers])
        except (RedisError, OSError) as error:
            raise Unavailable("limits cannot be counted right now", code="limiter_unavailable") from error
        return Verdict(wait == 0, wait / 1_000_000, tuple(left))
