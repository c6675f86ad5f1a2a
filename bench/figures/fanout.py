"""One run on 2,000 open streams, while events are posted at a steady pace, whether or not the server keeps up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.pace import watched
from bench.results import Result, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import Engine
    from bench.setup import Setup

_POSTS_PER_SECOND: Final = 65
"""A little more than the goal asks for, so that it can be reached."""
_PACES: Final = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_MOST_DELAY_MS: Final = 50


async def measure(setup: Setup) -> Sequence[Result]:
    return [result for engine in setup.engines for result in await _on(engine, setup)]


async def _on(engine: Engine, setup: Setup) -> Sequence[Result]:
    """Rounds at one pace; then from a slow one to ever faster ones, as long as the delay stays within its bound."""
    scale, most = setup.scale, 0.0
    async with setup.server(engine=engine) as server, watched(server, "watched", scale.streams) as run:
        await run.at_pace(_POSTS_PER_SECOND, scale.warmup_seconds)
        rounds = [await run.at_pace(_POSTS_PER_SECOND, scale.seconds) for _ in setup.rounds]
        for factor in _PACES:
            tried = await run.at_pace(_POSTS_PER_SECOND * factor, scale.seconds / 2)
            if tried.p99_ms > _MOST_DELAY_MS:
                break
            most = tried.frames_per_second
    rates, delays = [done.frames_per_second for done in rounds], [done.p99_ms for done in rounds]
    name = f"fan-out of one run to {scale.streams:,} streams"
    limit = f"most within that delay: {most:,.0f}/s" if most else "no pace that was tried stayed within that delay"
    return [
        Result(f"{name}, at {_POSTS_PER_SECOND} events/s", "/s", at_least(120_000), rates, engine, rounds[-1].story),
        Result(f"{name}, p99 delay then", "ms", at_most(_MOST_DELAY_MS), delays, engine, limit),
    ]
