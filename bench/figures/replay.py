"""100,000 stored events, read through one stream from the first on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench.cost import Spending
from bench.events import KEEP_ALL, stock
from bench.results import Result, at_least
from bench.streams import streaming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import Server
    from bench.setup import Setup

_RUN = "long"


async def measure(setup: Setup) -> Sequence[Result]:
    count = setup.scale.replayed_events
    async with setup.server(KEEP_ALL) as server:
        await stock(server, _RUN, count)
        rates = [await _frames_per_second(server, count) for _ in setup.rounds]
        spending = Spending(server)
        await _frames_per_second(server, count)
        cost = spending.so_far()
    return [
        Result(
            f"replay of {count:,} stored events through one stream",
            "/s",
            at_least(300_000),
            rates,
            setup.engines[0],
            cost.story(count),
        )
    ]


async def _frames_per_second(server: Server, count: int) -> float:
    began = time.perf_counter()
    async with (
        asyncio.timeout(60),
        streaming(server.address, f"/api/runs/{_RUN}/stream?after=0", 1, timed_every=0) as meter,
    ):
        await meter.until(count)
    return count / (meter.last_frame_at - began)
