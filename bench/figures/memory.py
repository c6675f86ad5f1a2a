"""Memory of the server's processes: idle, and for each of 2,000 open streams that have carried a frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bench.client import connected
from bench.events import post_one
from bench.results import Result, at_most
from bench.streams import streaming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import Server
    from bench.setup import Setup

_RUN: Final = "watched"


async def measure(setup: Setup) -> Sequence[Result]:
    streams, engine = setup.scale.streams, setup.engines[0]
    idle: list[float] = []
    each: list[float] = []
    for _ in setup.rounds:
        async with setup.server() as server:
            idle.append(server.memory() / 1e6)
            await _frame_on(server, 1)
            before = server.memory()
            each.append((await _frame_on(server, streams) - before) / streams / 1e3)
    return [
        Result("memory, idle", "MB", at_most(110), idle, engine),
        Result(f"memory, each of {streams:,} open streams", "KB", at_most(16), each, engine),
    ]


async def _frame_on(server: Server, streams: int) -> int:
    """The memory while so many streams are open, after a frame to each."""
    async with (
        asyncio.timeout(60),
        streaming(server.address, f"/api/runs/{_RUN}/stream", streams, timed_every=0) as meter,
        connected(1, server.address) as (connection,),
    ):
        await connection.ask_for(201, post_one(_RUN))
        await meter.until(streams)
        return server.memory()
