"""One run on ever more open streams: from a POST to its frame on the last of them, and what an event costs."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.client import connected
from bench.cost import Spending
from bench.events import post_one
from bench.numbers import median
from bench.streams import streaming
from bench.sweep import Sweep
from bench.sweeps.servers import on_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import Server
    from bench.setup import Setup

_RUN: Final = "watched"
_PATIENCE_SECONDS: Final = 60


class _Point(NamedTuple):
    delay_ms: float
    cpu_ms: float


async def measure(setup: Setup) -> Sequence[Sweep]:
    sizes = setup.scale.open_streams
    found = await on_each(setup, partial(_points, setup))
    title, across = "Many streams of one run", "open streams"
    delays = {name: [point.delay_ms for point in points] for name, points in found.items()}
    costs = {name: [point.cpu_ms for point in points] for name, points in found.items()}
    return [
        Sweep(f"{title}: from a POST to its last frame", across, "ms", sizes, delays),
        Sweep(f"{title}: processor time of an event, server and database", across, "ms", sizes, costs),
    ]


async def _points(setup: Setup, server: Server) -> Sequence[_Point]:
    return [await _point(server, streams, setup.scale.sweep_tries) for streams in setup.scale.open_streams]


async def _point(server: Server, streams: int, tries: int) -> _Point:
    delays: list[float] = []
    async with (
        asyncio.timeout(_PATIENCE_SECONDS),
        streaming(server.address, f"/api/runs/{_RUN}/stream", streams, timed_every=0) as meter,
        connected(1, server.address) as (connection,),
    ):
        spending = Spending(server)
        for number in range(1, tries + 1):
            began = time.perf_counter()
            await connection.ask_for(201, post_one(_RUN))
            await meter.until(number * streams)
            delays.append(meter.last_frame_at - began)
        cost = spending.so_far()
    return _Point(median(delays) * 1000, (cost.server + cost.behind) / tries * 1000)
