"""The events that are posted, one at a time, in arrays, or as a stock to read from."""

from __future__ import annotations

import time
from itertools import count, repeat
from typing import TYPE_CHECKING, Final

import msgspec

from bench.client import ask_once, get, post
from bench.failed import Failed
from bench.load import steady

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.server import Server

_EVENT: Final = (
    '{"type":"tool.call","level":"info","agentId":"agent-7","taskId":"task-1138",'
    '"payload":{"tool":"search","query":"a question of ordinary length","tokens":512,"sent":"%019d"}}'
)
KEEP_ALL: Final = "events.retention=0"
"""The setting for runs that are longer than what is kept by default."""
_KEPT: Final = 5000
_STOCK_AT_ONCE: Final = 1000
_STOCK_CONNECTIONS: Final = 2
_STOCK_SECONDS: Final = 120


class _Run(msgspec.Struct, rename="camel"):
    event_count: int


def event() -> str:
    """One event that holds when it was sent, by the clock of this process."""
    return _EVENT % time.perf_counter_ns()


def stored_event() -> str:
    """As it is kept: without its id and its run."""
    return f'{{"ts":{time.time_ns() // 1_000_000},{event()[1:]}'


def post_one(run: str) -> bytes:
    return post(f"/api/runs/{run}/events", event())


def post_array(run: str, count: int) -> bytes:
    return post(f"/api/runs/{run}/events", f"[{','.join([event()] * count)}]")


def short_runs(name: str, events: int) -> Iterator[bytes]:
    """Arrays of so many events for one run after the other, none of which outgrows what is kept by default."""
    for number in count():
        yield from repeat(post_array(f"{name}-{number}", events), _KEPT // events)


async def stock(server: Server, run: str, events: int) -> None:
    """Store so many events in one run, as fast as it takes them."""
    requests = [repeat(post_array(run, _STOCK_AT_ONCE))] * _STOCK_CONNECTIONS
    await steady(server, requests, seconds=_STOCK_SECONDS, most=events // _STOCK_AT_ONCE)
    await require_stored(server, events)


async def require_stored(server: Server, events: int, key: str | None = None) -> None:
    """Every event that was acknowledged is there, and no other."""
    runs = msgspec.json.decode(await ask_once(server.address, get("/api/runs?limit=1000", key)), type=list[_Run])
    stored = sum(run.event_count for run in runs)
    if stored != events:
        raise Failed(f"{stored:,} events are stored, and not {events:,}")
