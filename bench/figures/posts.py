"""Single events posted over 32 connections, each answered after its commit, beside a bare ASGI application."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Final

from bench.events import post_one, require_stored
from bench.load import steady
from bench.numbers import median, percentile
from bench.results import Result, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import Engine
    from bench.setup import Setup

_CONNECTIONS: Final = 32


async def measure(setup: Setup) -> Sequence[Result]:
    return [result for engine in setup.engines for result in await _on(engine, setup)]


async def _on(engine: Engine, setup: Setup) -> Sequence[Result]:
    """The rounds of the two servers take turns, so that what else the machine does strikes both."""
    requests = [repeat(post_one(f"posts-{number}")) for number in range(_CONNECTIONS)]
    async with setup.server(engine=engine) as server, setup.bare_server(engine) as bare:
        await steady(bare, requests, setup.scale.warmup_seconds)
        warmup = await steady(server, requests, setup.scale.warmup_seconds)
        pairs = [
            (await steady(bare, requests, setup.scale.seconds), await steady(server, requests, setup.scale.seconds))
            for _ in setup.rounds
        ]
        loads = [load for _, load in pairs]
        await require_stored(server, sum(load.count for load in [warmup, *loads]))
    ratio = median([load.rate / beside.rate for beside, load in pairs])
    bare_load = pairs[-1][0]
    bare_note = f"{ratio:.2f} x of bare ASGI ({bare_load.rate:,.0f}/s, {bare_load.cost.each(bare_load.count)})"
    return [
        Result(
            "single-event POSTs, 32 connections",
            "/s",
            at_least(8000),
            [load.rate for load in loads],
            engine,
            f"{loads[-1].story}; {bare_note}",
        ),
        Result(
            "single-event POSTs, p99",
            "ms",
            at_most(20),
            [percentile(load.latencies, 99) * 1000 for load in loads],
            engine,
            f"p50 {median([percentile(load.latencies, 50) * 1000 for load in loads]):.1f} ms",
        ),
    ]
