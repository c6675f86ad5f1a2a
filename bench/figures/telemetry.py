"""What telemetry adds to a request, warm: everything that one post tells, told again to other sinks, in this process.

It is the time of the processor: what else the machine does is none of the request's.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, contextmanager, redirect_stderr
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from agentops import Kit, Lane, NoSettings, Rungs, Secret, Telemetry
from agentops.core.signals import Signals
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.features.runs import Runs
from agentops.plugins.storage.sqlite import Sqlite
from agentops.plugins.telemetry.log import Log
from agentops.plugins.telemetry.otlp import Otlp
from agentops.plugins.telemetry.otlp._spans import WaitingSpans, encoded_spans
from agentops.plugins.telemetry.prometheus import Prometheus
from bench.failed import Failed
from bench.numbers import median
from bench.results import Result, at_most

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from agentops.core.ports.tracing import EndedSpan
    from bench.setup import Setup

    Told = Sequence[Callable[[Signals], object]]

_KEY: Final = "a-static-key-of-ordinary-length"
_SAMPLE: Final = 0.01
_BLOCK: Final = 50
_HEADERS: Final = [
    (b"host", b"bench.example"),
    (b"user-agent", b"bench/1"),
    (b"accept", b"application/json"),
    (b"x-api-key", _KEY.encode()),
    (b"content-type", b"application/json"),
]


async def measure(setup: Setup) -> Sequence[Result]:
    told = await _told_by_a_post(setup.folder / "telemetry.sqlite")
    with _nowhere():
        return await _added(setup, told)


@contextmanager
def _nowhere() -> Iterator[None]:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield


async def _added(setup: Setup, told: Told) -> Sequence[Result]:
    log, prometheus = Log(format="json"), Prometheus()
    otlp = Otlp(endpoint="http://127.0.0.1:1", interval_seconds=3600, stop_seconds=0, sample=_SAMPLE)
    async with log.life(Rungs()), otlp.life(Rungs()):
        sinks: Mapping[str, Sequence[Telemetry[Any]]] = {
            "none": [],
            "usual": [log, prometheus],
            "all": [log, prometheus, otlp],
        }
        await _round(sinks, told, setup.scale.auth_calls)
        rounds = [await _round(sinks, told, setup.scale.auth_calls) for _ in setup.rounds]
    spans, encoding = _sampled(told)
    return [
        Result(
            "log and prometheus together, of a post",
            "µs",
            at_most(40),
            [each["usual"] - each["none"] for each in rounds],
            note=f"{len(told)} events and figures; without any sink {rounds[-1]['none']:.1f} µs",
        ),
        Result(
            "otlp beside them, 1 % sampled",
            "µs",
            at_most(10),
            [each["all"] - each["usual"] for each in rounds],
            note=f"one that is sampled is {spans} spans, which are encoded in a thread: {encoding:.0f} µs",
        ),
    ]


async def _round(sinks: Mapping[str, Sequence[Telemetry[Any]]], told: Told, calls: int) -> Mapping[str, float]:
    """Microseconds a request with each set of sinks; they take turns, so that what slows one slows all."""
    async with AsyncExitStack() as stack:
        signals = {name: Signals() for name in sinks}
        for name, some in sinks.items():
            for sink in some:
                stack.enter_context(signals[name].told_to(sink))
        times: dict[str, list[float]] = {name: [] for name in sinks}
        for _ in range(max(1, calls // _BLOCK)):
            for name, each in signals.items():
                began = time.thread_time()
                for _ in range(_BLOCK):
                    _tell(each, told)
                    await asyncio.sleep(0)
                times[name].append((time.thread_time() - began) / _BLOCK * 1e6)
    return {name: median(some) for name, some in times.items()}


def _tell(signals: Signals, told: Told) -> None:
    """As the gate, the guard, the event log and its writer do."""
    with signals.request(_HEADERS) as request:
        with signals.span("authenticate"):
            pass
        with signals.span("store events", events=1):
            around = signals.around()
            if around is not None:
                now = time.perf_counter_ns()
                around.had("commit", (now, now), {"requests": 1, "events": 1})
        for tell in told:
            tell(signals)
        if request.is_taken:
            request.describe({"http.request.method": "POST", "http.response.status_code": 201}, name="POST /")


def _sampled(told: Told) -> tuple[int, float]:
    """How many spans a sampled post is, and the microseconds that it takes to encode them in batches."""
    sink, signals = _Sampled(), Signals()
    with signals.told_to(sink):
        for _ in range(_BLOCK):
            _tell(signals, told)
    spans = sink.spans.take(100 * _BLOCK)
    resource, scope = Resource({}), InstrumentationScope("bench")
    encoded_spans(spans, resource, scope)
    began = time.thread_time()
    encoded_spans(spans, resource, scope)
    return len(spans) // _BLOCK, (time.thread_time() - began) / _BLOCK * 1e6


class _Sampled(Telemetry[NoSettings]):
    wants_spans = True

    def __init__(self) -> None:
        super().__init__()
        self.spans = WaitingSpans(100 * _BLOCK)

    def samples(self, trace_id: int) -> bool:
        return trace_id > 0

    def span(self, span: EndedSpan) -> None:
        self.spans.add(span)

    def event(self, name: str, level: Any, fields: dict[str, object]) -> None:
        """Only its spans are of interest."""


class _Record(Telemetry[NoSettings]):
    """Keeps what it is told, so that it can be told again."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Callable[[Signals], object]] = []

    def event(self, name: str, level: Any, fields: dict[str, object]) -> None:
        self.told.append(methodcaller("event", name, level, **fields))

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        self.told.append(methodcaller("count", name, amount, **labels))

    def observe(self, name: str, value: float, labels: dict[str, str]) -> None:
        self.told.append(methodcaller("observe", name, value, **labels))

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        self.told.append(methodcaller("gauge", name, value, **labels))


async def _told_by_a_post(path: Path) -> Told:
    record = _Record()
    kit = Kit(
        storage=Sqlite(path=str(path)),
        auth={"key": StaticKey(keys=[Secret(_KEY)])},
        lanes=[Lane("/api", [Runs()], ["key"], name="api")],
        telemetry={"record": record},
    )
    app: Any = kit.app()
    statuses: list[int] = []
    body = msgspec.json.encode({"type": "step", "payload": {"n": 1}})

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 201))

    async with app.lifespan():
        record.told.clear()
        await app(_scope(len(body)), receive, send)
        await asyncio.sleep(0.1)  # the writer tells the rest after the answer
        told = [*record.told]
    if set(statuses) != {201} or not told:
        raise Failed(f"a post was answered {statuses} and told {len(told)} times of")
    return told


def _scope(length: int) -> dict[str, object]:
    path = "/api/runs/bench/events"
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [*_HEADERS, (b"content-length", str(length).encode())],
        "client": ("127.0.0.1", 1),
        "state": {},
    }
