"""Events posted in arrays of 100 over 8 connections, answered after their commit."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Final

from bench.events import post_array, require_stored, short_runs
from bench.load import steady
from bench.results import Result, at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.setup import Setup

_CONNECTIONS: Final = 8
_EVENTS: Final = 100


async def measure(setup: Setup) -> Sequence[Result]:
    """Into new runs again and again; the note has what is left of it when runs outgrow what is kept."""
    scale = setup.scale
    async with setup.server() as server:
        short = [short_runs(f"arrays-{number}", _EVENTS) for number in range(_CONNECTIONS)]
        warmup = await steady(server, short, scale.warmup_seconds)
        loads = [await steady(server, short, scale.seconds) for _ in setup.rounds]
        await require_stored(server, _EVENTS * sum(load.count for load in [warmup, *loads]))
        long = [repeat(post_array(f"long-{number}", _EVENTS)) for number in range(_CONNECTIONS)]
        pruned = await steady(server, long, scale.seconds)
    rates = [load.rate * _EVENTS for load in loads]
    note = f"{pruned.rate * _EVENTS:,.0f}/s into runs that are pruned; {loads[-1].story}"
    return [Result(f"events in arrays of {_EVENTS}", "/s", at_least(100_000), rates, setup.engines[0], note)]
