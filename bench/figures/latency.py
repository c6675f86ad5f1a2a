"""From a POST to its frame on an open stream, when nothing else happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bench.client import connected
from bench.events import post_one
from bench.numbers import percentile
from bench.results import Result, at_most
from bench.streams import streaming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import Server
    from bench.setup import Setup

_PAUSE_SECONDS: Final = 0.005
_RUN: Final = "quiet"


async def measure(setup: Setup) -> Sequence[Result]:
    async with setup.server() as server:
        await _delays(server, setup.scale.quiet_posts // 5)
        rounds = [await _delays(server, setup.scale.quiet_posts) for _ in setup.rounds]
    name, engine = "POST to frame on an open stream, quiet", setup.engines[0]
    return [
        Result(f"{name}, p50", "ms", at_most(1), [percentile(delays, 50) * 1000 for delays in rounds], engine),
        Result(f"{name}, p99", "ms", at_most(5), [percentile(delays, 99) * 1000 for delays in rounds], engine),
    ]


async def _delays(server: Server, posts: int) -> Sequence[float]:
    async with (
        connected(server.address, 1) as (connection,),
        streaming(server.address, f"/api/runs/{_RUN}/stream", 1) as meter,
    ):
        async with asyncio.timeout(10 + posts * 0.1):
            for number in range(1, posts + 1):
                await connection.ask_for(201, post_one(_RUN))
                await meter.until(number)
                await asyncio.sleep(_PAUSE_SECONDS)
    return meter.delays
