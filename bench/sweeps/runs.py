"""Ever more runs: one append to any of them, pages of the list, and a page of the feed over all."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

from agentops.core.eventlog.log import READ_BYTES
from agentops.core.ports.storage import RunQuery
from bench.failed import Failed
from bench.stores import PROJECT, milliseconds, on_each
from bench.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.setup import Setup
    from bench.stores import Store

_LIMIT: Final = 100
_AT_ONCE: Final = 1000


async def measure(setup: Setup) -> Sequence[Sweep]:
    return await on_each(setup, partial(_grown, setup))


async def _grown(setup: Setup, store: Store) -> Sweep:
    points: list[Mapping[str, float]] = []
    stored = 0
    for size in setup.scale.runs:
        while stored < size:
            more = min(_AT_ONCE, size - stored)
            await store.append(map(_name, range(stored, stored + more)))
            stored += more
        await store.settle()
        points.append(await _costs(store, stored, setup.scale.sweep_tries))
    lines = {name: [point[name] for point in points] for name in points[0]}
    return Sweep(f"Many runs, on {store.name}", "runs", "ms", setup.scale.runs, lines)


async def _costs(store: Store, runs: int, tries: int) -> Mapping[str, float]:
    """A page behind a random place lies at least its own length before the end."""
    places = [random.randrange(_LIMIT + 1, runs - _LIMIT) for _ in range(tries)]
    return {
        "append of one event": await milliseconds(store.append([_name(place)]) for place in places),
        "newest runs": await milliseconds(_listed(store, None) for _ in places),
        "runs before any": await milliseconds(_listed(store, _name(place)) for place in places),
        "page of the feed": await milliseconds(_fed(store, place) for place in places),
    }


async def _listed(store: Store, before: str | None) -> None:
    _require(len(await store.storage.list_runs(PROJECT, RunQuery(_LIMIT, before))))


async def _fed(store: Store, after: int) -> None:
    _require(len(await store.storage.feed(PROJECT, str(after), _LIMIT, READ_BYTES)))


def _require(found: int) -> None:
    if found != _LIMIT:
        raise Failed(f"a page of {_LIMIT} has {found} entries")


def _name(number: int) -> str:
    """In the order of the alphabet, in which a storage may make those of one batch."""
    return f"run-{number:07}"
