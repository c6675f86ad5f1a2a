"""From a POST to its frame on an open stream, when nothing else happens."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.client import connected, get
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
_COMMIT_BYTES: Final = 5 * 4096


async def measure(setup: Setup) -> Sequence[Result]:
    async with setup.server() as server:
        await _delays(server, setup.scale.quiet_posts // 5)
        rounds = [await _delays(server, setup.scale.quiet_posts) for _ in setup.rounds]
        answered = await _answers(server, setup.scale.quiet_posts)
    share = f"of the p50, the disk takes {_disk(setup) * 1000:.2f} ms; an answer without it, {answered * 1000:.2f}"
    name, engine = "POST to frame on an open stream, quiet", setup.engines[0]
    return [
        Result(f"{name}, p50", "ms", at_most(1), [percentile(delays, 50) * 1000 for delays in rounds], engine, share),
        Result(f"{name}, p99", "ms", at_most(5), [percentile(delays, 99) * 1000 for delays in rounds], engine),
    ]


async def _delays(server: Server, posts: int) -> Sequence[float]:
    async with (
        connected(1, server.address) as (connection,),
        streaming(server.address, f"/api/runs/{_RUN}/stream", 1) as meter,
    ):
        async with asyncio.timeout(10 + posts * 0.1):
            for number in range(1, posts + 1):
                await connection.ask_for(201, post_one(_RUN))
                await meter.until(number)
                await asyncio.sleep(_PAUSE_SECONDS)
    return meter.delays


async def _answers(server: Server, requests: int) -> float:
    """What a request takes that stores nothing, at the same pace: a core that has slept wakes slowly."""
    costs = []
    async with connected(1, server.address) as (connection,):
        for _ in range(requests):
            began = time.perf_counter()
            await connection.ask_for(200, get("/healthz"))
            costs.append(time.perf_counter() - began)
            await asyncio.sleep(_PAUSE_SECONDS)
    return percentile(costs, 50)


def _disk(setup: Setup) -> float:
    """What it takes to make a commit's few pages durable, at the same pace."""
    costs = []
    file = Path(setup.folder, "latency")
    with file.open("wb", buffering=0) as pages:
        for _ in range(setup.scale.quiet_posts):
            began = time.perf_counter()
            pages.write(bytes(_COMMIT_BYTES))
            os.fdatasync(pages.fileno())
            costs.append(time.perf_counter() - began)
            time.sleep(_PAUSE_SECONDS)
    file.unlink()
    return percentile(costs, 50)
