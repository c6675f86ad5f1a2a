"""Posts and arrays, by one worker and by several that share two cores with the database and the load."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.cluster import cluster
from bench.events import post_one, require_stored, short_runs
from bench.load import steady
from bench.numbers import median, percentile
from bench.results import Result, at_least

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.cluster import BusName, Cluster, StorageName
    from bench.load import Load
    from bench.scale import Scale
    from bench.setup import Setup

_POST_CONNECTIONS: Final = 32
_ARRAY_CONNECTIONS: Final = 8
_EVENTS: Final = 100


class _Kind(NamedTuple):
    name: str
    workers: int
    bus: BusName
    storage: StorageName
    has_goal: bool


async def measure(setup: Setup) -> Sequence[Result]:
    with cluster(setup, "workers") as started:
        if started is None:
            return []
        return [result for kind in _kinds(setup.scale) for result in await _of(kind, started)]


def _kinds(scale: Scale) -> Iterator[_Kind]:
    several = f"{scale.workers} workers, bus on"
    yield _Kind("Postgres, 1 worker", 1, "memory", "postgres", has_goal=False)
    for bus in scale.buses:
        yield _Kind(f"Postgres, {several} {bus.title()}", scale.workers, bus, "postgres", has_goal=True)
    yield _Kind(f"SQLite, {several} Redis", scale.workers, "redis", "sqlite", has_goal=False)


async def _of(kind: _Kind, started: Cluster) -> Sequence[Result]:
    setup = started.setup
    posts = [repeat(post_one(f"posts-{number}")) for number in range(_POST_CONNECTIONS)]
    arrays = [short_runs(f"arrays-{number}", _EVENTS) for number in range(_ARRAY_CONNECTIONS)]
    async with started.workers(kind.workers, kind.bus, kind.storage) as server:
        warmup = await steady(server, posts, setup.scale.warmup_seconds)
        single = [await steady(server, posts, setup.scale.seconds) for _ in setup.rounds]
        many = [await steady(server, arrays, setup.scale.seconds) for _ in setup.rounds]
        await require_stored(server, _stored(1, [warmup, *single]) + _stored(_EVENTS, many))
    delays = [median([percentile(load.latencies, percent) for load in single]) * 1000 for percent in (50, 99)]
    note = f"p50 {delays[0]:.1f} ms, p99 {delays[1]:.1f} ms; {single[-1].story}"
    goals = (at_least(6_000), at_least(60_000)) if kind.has_goal else (None, None)
    rates = [load.rate * _EVENTS for load in many]
    engine = setup.engines[0]
    return [
        Result(f"single-event POSTs: {kind.name}", "/s", goals[0], [load.rate for load in single], engine, note),
        Result(f"events in arrays of {_EVENTS}: {kind.name}", "/s", goals[1], rates, engine, many[-1].story),
    ]


def _stored(events: int, loads: Sequence[Load]) -> int:
    return events * sum(load.count for load in loads)
