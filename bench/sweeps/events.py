"""Runs of ever more events: one append, pages from their beginning, middle and end, and opening a stream."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

from agentops import EventSettings
from agentops.core.eventlog.hub import Hub
from agentops.core.eventlog.log import READ_BYTES
from agentops.core.ports.storage import PageQuery
from agentops.core.signals import Signals
from bench.failed import Failed
from bench.stores import PROJECT, milliseconds, on_each
from bench.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.setup import Setup
    from bench.stores import Store

_RUN: Final = "vast"
_LIMIT: Final = 500
_AT_ONCE: Final = 5000


async def measure(setup: Setup) -> Sequence[Sweep]:
    return await on_each(setup, partial(_grown, setup))


async def _grown(setup: Setup, store: Store) -> Sweep:
    points: list[Mapping[str, float]] = []
    stored = 0
    for size in setup.scale.events_in_a_run:
        while stored < size:
            more = min(_AT_ONCE, size - stored)
            await store.append([_RUN], more)
            stored += more
        await store.settle()
        points.append(await _costs(store, setup.scale.sweep_tries))
        stored += setup.scale.sweep_tries
    lines = {name: [point[name] for point in points] for name in points[0]}
    return Sweep(
        f"A run of many events, on {store.name}", "events in the run", "ms", setup.scale.events_in_a_run, lines
    )


async def _costs(store: Store, tries: int) -> Mapping[str, float]:
    last = await store.storage.last_id(PROJECT, _RUN) - _LIMIT - tries
    cursors = {"page at the start": 0, "page in the middle": last // 2, "page at the end": last}
    hub = Hub(store.storage, Signals(), EventSettings(retention=0))
    pages = {
        name: await milliseconds(_page(store, after + random.randrange(tries)) for _ in range(tries))
        for name, after in cursors.items()
    }
    return {
        "append of one event": await milliseconds(store.append([_RUN]) for _ in range(tries)),
        **pages,
        "stream opened at the end": await milliseconds(_open(hub) for _ in range(tries)),
    }


async def _page(store: Store, after: int) -> None:
    page = await store.storage.page(PageQuery(PROJECT, _RUN, after, _LIMIT, READ_BYTES))
    if len(page.events) != _LIMIT:
        raise Failed(f"a page of {_LIMIT} has {len(page.events)} events")


async def _open(hub: Hub) -> None:
    stream = await hub.follow(PROJECT, _RUN, None)
    stream.close()
