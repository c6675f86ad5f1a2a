"""Pages of 500 events behind random cursors, from a run of a million."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from bench.client import connected, get
from bench.events import KEEP_ALL, stock
from bench.failed import Failed
from bench.numbers import median, percentile
from bench.results import Result, at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.server import Server
    from bench.setup import Setup

_RUN: Final = "vast"
_LIMIT: Final = 500


async def measure(setup: Setup) -> Sequence[Result]:
    count = setup.scale.paged_events
    async with setup.server(KEEP_ALL) as server:
        await stock(server, _RUN, count)
        rounds = [await _page_times(server, count, setup.scale.pages) for _ in setup.rounds]
    typical = [percentile(times, 50) * 1000 for times in rounds]
    note = f"p99 {median([percentile(times, 99) * 1000 for times in rounds]):.1f} ms"
    return [Result(f"page of {_LIMIT} from a run of {count:,}", "ms", at_most(5), typical, setup.engines[0], note)]


async def _page_times(server: Server, count: int, pages: int) -> Sequence[float]:
    """The cursors are the same in every run of the bench; the ids of a fresh database begin at 1."""
    cursors = random.Random(_LIMIT)
    times: list[float] = []
    async with connected(1, server.address) as (connection,):
        for _ in range(pages):
            request = get(f"/api/runs/{_RUN}/events?limit={_LIMIT}&after={cursors.randrange(count - _LIMIT)}")
            began = time.perf_counter()
            page = await connection.ask_for(200, request)
            times.append(time.perf_counter() - began)
            if page.count(b'"runId"') != _LIMIT:
                raise Failed(f"a page of {_LIMIT} has another number of events")
    return times
