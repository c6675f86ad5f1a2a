"""Good clients with hashed keys, while others send 10,000 made-up ones a second."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.client import connected, get
from bench.cost import Spending
from bench.failed import Failed
from bench.keys import keys_in
from bench.numbers import median, percentile
from bench.results import Result, at_most

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.client import Connection
    from bench.cost import Cost
    from bench.server import Engine, Server
    from bench.setup import Setup

_MADE_UP_PER_SECOND: Final = 10_000
_CLIENTS: Final = 8
_EACH_PER_SECOND: Final = 25
_REPOSITORY: Final = Path(__file__).parents[2]


class _Flooded:
    """Filled in when the flood is over."""

    refused = 0
    others = 0


@dataclass(frozen=True, slots=True)
class _Round:
    """The p99 of good clients, in milliseconds, and what the server did beside."""

    alone: float
    flooded: float
    refused_per_second: float
    cost: Cost


async def measure(setup: Setup) -> Sequence[Result]:
    return [result for engine in setup.engines for result in await _on(engine, setup)]


async def _on(engine: Engine, setup: Setup) -> Sequence[Result]:
    path, seconds = setup.folder / f"made-up-{engine}.sqlite", setup.scale.seconds
    keys = await keys_in(path, _CLIENTS)
    lane = ['lanes.api.auth=["keys"]', "lanes.api.errors=problem"]
    async with setup.server(f"storage.path={path}", "auth.keys.use=hashed-keys", *lane, engine=engine) as server:
        await _p99(server, keys, setup.scale.warmup_seconds)
        rounds = [await _round(server, keys, seconds) for _ in setup.rounds]
    cost = rounds[-1].cost
    name = f"{_MADE_UP_PER_SECOND:,} made-up keys/s"
    alone, flooded = median([each.alone for each in rounds]), median([each.flooded for each in rounds])
    note = f"p99 {alone:.1f} ms without, {flooded:.1f} ms with them"
    refused = median([each.refused_per_second for each in rounds])
    busy = f"{refused:,.0f}/s refused, the others wait; server {cost.server / cost.seconds:.0%} of its core"
    ratios = [each.flooded / each.alone for each in rounds]
    what = f"good clients beside {name}, p99 against idle"
    return [Result(what, "x", at_most(2), ratios, engine, f"{note}; {busy}")]


async def _round(server: Server, keys: Sequence[str], seconds: float) -> _Round:
    alone = await _p99(server, keys, seconds)
    async with _flood(server.address[1], seconds) as flood:
        spending = Spending(server)
        flooded = await _p99(server, keys, seconds)
        cost = spending.so_far()
    if flood.others:
        raise Failed(f"{flood.others} made-up keys were not answered 401")
    return _Round(alone, flooded, flood.refused / seconds, cost)


@asynccontextmanager
async def _flood(port: int, seconds: float) -> AsyncIterator[_Flooded]:
    """For so long, from here on."""
    flooded = _Flooded()
    command = [sys.executable, "-m", "bench.flood", str(port), str(_MADE_UP_PER_SECOND), str(seconds)]
    process = await asyncio.create_subprocess_exec(*command, cwd=_REPOSITORY, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield flooded
        flooded.refused, flooded.others = map(int, (await process.stdout.readline()).split())
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _p99(server: Server, keys: Sequence[str], seconds: float) -> float:
    """How many milliseconds those waited who ask at their own pace."""
    async with connected(len(keys), server.address) as connections, asyncio.timeout(seconds + 30):
        pairs = zip(connections, keys, strict=True)
        asking = (_ask(connection, key, place / len(keys), seconds) for place, (connection, key) in enumerate(pairs))
        return percentile([delay for delays in await asyncio.gather(*asking) for delay in delays], 99) * 1000


async def _ask(connection: Connection, key: str, offset: float, seconds: float) -> list[float]:
    request = get("/api/runs/none/events", key)
    delays: list[float] = []
    began = time.perf_counter() + offset / _EACH_PER_SECOND
    for number in range(max(1, int(seconds * _EACH_PER_SECOND))):
        await asyncio.sleep(max(0.0, began + number / _EACH_PER_SECOND - time.perf_counter()))
        asked = time.perf_counter()
        await connection.ask_for(200, request)
        delays.append(time.perf_counter() - asked)
    return delays
