"""Several instances on one Postgres: from a POST on one to its frame on another, one hot run, and what idling costs."""

from __future__ import annotations

import asyncio
from itertools import repeat
from typing import TYPE_CHECKING, Final

from bench.cluster import cluster
from bench.cost import Spending
from bench.events import post_one
from bench.load import steady
from bench.numbers import median
from bench.pace import watched
from bench.results import Result, at_least, at_most
from bench.server import together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.cluster import BusName, Cluster
    from bench.cost import Cost
    from bench.server import Server
    from bench.setup import Setup

_POSTS_PER_SECOND: Final = 100
_CONNECTIONS: Final = 32
_IDLE: Final = 0.6
"""One hundredth of a core."""


async def measure(setup: Setup) -> Sequence[Result]:
    with cluster(setup, "instances") as started:
        if started is None:
            return []
        async with started.instances(setup.scale.instances, "memory") as servers:
            alone = await _idle(servers, setup)
        return [result for bus in setup.scale.buses for result in await _on(bus, started, alone)]


async def _on(bus: BusName, started: Cluster, alone: Sequence[float]) -> Sequence[Result]:
    setup, where = started.setup, f"bus on {bus.title()}"
    async with started.instances(setup.scale.instances, bus) as servers:
        idle = await _idle(servers, setup)
        return [
            *await _across(servers, setup, where),
            await _hot_run(servers, setup, where),
            _added(idle, alone, f"{len(servers)} instances, {where}"),
        ]


async def _across(servers: Sequence[Server], setup: Setup, where: str) -> Sequence[Result]:
    """At a moderate pace: what is posted to the first is read from the second."""
    async with watched(servers[1], "across", 1, written=servers[0]) as run:
        await run.at_pace(_POSTS_PER_SECOND, setup.scale.warmup_seconds)
        rounds = [await run.at_pace(_POSTS_PER_SECOND, setup.scale.seconds) for _ in setup.rounds]
    name, engine = f"POST on one instance to frame on another, {where}", setup.engines[0]
    note = f"at {_POSTS_PER_SECOND} posts/s"
    return [
        Result(f"{name}, p50", "ms", at_most(5), [done.p50_ms for done in rounds], engine, note),
        Result(f"{name}, p99", "ms", at_most(25), [done.p99_ms for done in rounds], engine),
    ]


async def _hot_run(servers: Sequence[Server], setup: Setup, where: str) -> Result:
    """One and all take turns, so that what else the machine does strikes both."""
    requests = [repeat(post_one("hot"))] * _CONNECTIONS
    one, every = servers[0], together(servers)
    await steady(every, requests, setup.scale.warmup_seconds)
    pairs = [
        (await steady(one, requests, setup.scale.seconds), await steady(every, requests, setup.scale.seconds))
        for _ in setup.rounds
    ]
    ratios = [by_all.rate / by_one.rate for by_one, by_all in pairs]
    by_one, by_all = pairs[-1]
    note = f"{by_all.rate:,.0f}/s by {len(servers)} ({by_all.story}), {by_one.rate:,.0f}/s by one ({by_one.story})"
    name = f"one run written by {len(servers)} instances, against one, {where}"
    return Result(name, "x", at_least(0.7), ratios, setup.engines[0], note)


async def _idle(servers: Sequence[Server], setup: Setup) -> Sequence[float]:
    """Seconds of CPU a minute, of the instances and of all behind them, when nobody asks anything."""
    await asyncio.sleep(setup.scale.warmup_seconds)
    costs = [await _spent(together(servers), setup.scale.idle_seconds) for _ in setup.rounds]
    return [(cost.server + cost.behind) / cost.seconds * 60 for cost in costs]


async def _spent(server: Server, seconds: float) -> Cost:
    spending = Spending(server)
    await asyncio.sleep(seconds)
    return spending.so_far()


def _added(idle: Sequence[float], alone: Sequence[float], where: str) -> Result:
    rounds = [with_it - without for with_it, without in zip(idle, alone, strict=True)]
    note = f"{median(idle):.2f} s of CPU a minute with it, {median(alone):.2f} without; Postgres and Redis included"
    return Result(f"idle cost of the bus, {where}", "s/min", at_most(_IDLE), rounds, note=note)
