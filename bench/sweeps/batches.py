"""Arrays of ever more events, over 8 connections, each answered after its commit."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Final

from bench.events import post_array
from bench.load import steady
from bench.numbers import median
from bench.sweep import Sweep
from bench.sweeps.servers import on_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import Server
    from bench.setup import Setup

_CONNECTIONS: Final = 8


async def measure(setup: Setup) -> Sequence[Sweep]:
    sizes = setup.scale.events_in_an_array
    rates = await on_each(setup, partial(_rates, setup))
    return [Sweep("Events posted in arrays", "events in an array", "/s", sizes, rates)]


async def _rates(setup: Setup, server: Server) -> Sequence[float]:
    return [await _rate(setup, server, events) for events in setup.scale.events_in_an_array]


async def _rate(setup: Setup, server: Server, events: int) -> float:
    requests = [repeat(post_array(f"arrays-{number}", events)) for number in range(_CONNECTIONS)]
    await steady(server, requests, setup.scale.warmup_seconds / 4)
    return median([(await steady(server, requests, setup.scale.seconds / 4)).rate * events for _ in setup.rounds])
