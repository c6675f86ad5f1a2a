"""What a collector is sent, read by OpenTelemetry's own messages; and one that is away, slow or lying."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from agentops import Kit, Lane, Secret
from agentops.core.ports.tracing import EndedSpan
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.figures import REST
from agentops.plugins.features.runs import Runs
from agentops.plugins.telemetry.otlp import Otlp
from agentops.plugins.telemetry.otlp._collector import ASKED_WAIT_MOST
from agentops.plugins.telemetry.otlp._collector import Collector as Collecting
from agentops.plugins.telemetry.otlp._line import lines
from agentops.plugins.telemetry.otlp._sending import BATCH
from agentops.testing.server import serving
from agentops.testing.telemetry import TelemetryContract
from tests.contract.collecting import OK, Collector, collecting, values_of
from tests.core.certificates import self_signed
from tests.core.parts import Kept, storage_in, until
from tests.core.tracing_parts import CALLER, TRACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


class TestOtlp(TelemetryContract):
    @pytest.fixture
    def make_telemetry(self, collector: Collector) -> Callable[[], Otlp]:
        return lambda: Otlp(endpoint=collector.url, sample=1)

    @pytest.fixture
    def written(self, collector: Collector) -> Callable[[], str]:
        return collector.text


def span(number: int = 1, **fields: Any) -> EndedSpan:
    filled = {
        "trace_id": 7, "span_id": number, "parent_id": 0, "is_called": False, "state": "", "name": f"span {number}",
        "kind": "internal", "began_ns": 1, "ended_ns": 2, "attributes": {}, "failed": False,
    }  # fmt: skip
    return EndedSpan(**{**filled, **fields})


def told(sink: Otlp) -> tuple[Signals, Kept]:
    """The signals that a sink is started with, which tell another as well."""
    signals, kept = Signals(), Kept()
    signals._sinks += [sink, kept]
    return signals, kept


def started(sink: Otlp) -> AbstractAsyncContextManager[object]:
    return sink.life(Rungs(signals=told(sink)[0]))


async def test_figures_are_what_they_have_come_to(collector: Collector) -> None:
    about = {"deployment.environment.name": "test"}
    sink = Otlp(endpoint=collector.url, service="mine", attributes=about, buckets=[0.1, 1])
    before = time.time_ns()
    async with started(sink):
        for amount in (1, 2.5, -1, float("nan")):
            sink.count("things", amount, {"b": "2", "a": "1"})
        for value in (0.05, 0.5, 7, float("inf")):
            sink.observe("commit.seconds", value, {})
        sink.observe("delay_ms", 99, {})
        for value in (3, -4):
            sink.gauge("open", value, {})
        sink.event("lane.open", "warning", {"secret": "none of this"})
    metrics = collector.metrics()
    (point,) = metrics["agentops.things"].sum.data_points
    assert (point.as_double, values_of(point.attributes)) == (3.5, {"a": "1", "b": "2"})
    assert metrics["agentops.things"].sum.is_monotonic
    assert metrics["agentops.things"].sum.aggregation_temporality == 2
    assert before <= point.start_time_unix_nano <= point.time_unix_nano <= time.time_ns()
    (spread,) = metrics["agentops.commit.seconds"].histogram.data_points
    assert (list(spread.bucket_counts), spread.count, spread.sum) == ([1, 1, 1], 3, 7.55)
    assert (list(spread.explicit_bounds), metrics["agentops.commit.seconds"].unit) == ([0.1, 1], "s")
    assert not spread.HasField("max")
    assert list(metrics["agentops.delay_ms"].histogram.data_points[0].explicit_bounds) == [100, 1000]
    assert metrics["agentops.delay_ms"].unit == "ms"
    assert metrics["agentops.open"].gauge.data_points[0].as_double == -4
    (event,) = metrics["agentops.events"].sum.data_points
    assert values_of(event.attributes) == {"name": "lane.open", "level": "warning"}
    resource = values_of(collector.messages("/v1/metrics")[-1].resource_metrics[0].resource.attributes)
    assert resource.pop("service.version")
    assert len(resource.pop("service.instance.id")) == 36
    assert resource == {"service.name": "mine", "deployment.environment.name": "test"}


async def test_spans_arrive_as_they_were(collector: Collector) -> None:
    sink = Otlp(endpoint=f"{collector.url}/")
    hostile = {
        "http.route": "/x", "lane": "api", "big": 2**64, "yes": True, "share": 0.5, "broken": "\ud800",
        "long": "x" * 9999, "odd": [Secret("1234")],
    }  # fmt: skip
    async with started(sink):
        sink.span(span(1, kind="server", parent_id=9, is_called=True, failed=True, state="a=1,b=2", attributes=hostile))
        sink.span(span(2, kind="client", parent_id=1, began_ns=10, ended_ns=30, name="\ud800"))
        sink.span(span(3, attributes={f"a.{number}": number for number in range(1000)}))
    first, second, third = collector.spans()
    assert (first.trace_id.hex(), first.span_id.hex(), first.parent_span_id.hex()) == (
        f"{7:032x}", f"{1:016x}", f"{9:016x}",
    )  # fmt: skip
    assert (first.kind, first.status.code, first.trace_state, first.flags) == (2, 2, "a=1,b=2", 0x300)
    assert values_of(first.attributes) == {
        "http.route": "/x", "agentops.lane": "api", "agentops.big": str(2**64), "agentops.yes": True,
        "agentops.share": 0.5, "agentops.broken": "?", "agentops.long": "x" * 1024,
        "agentops.odd": "[Secret('********')]",
    }  # fmt: skip
    assert (second.kind, second.status.code, second.flags, second.name) == (3, 0, 0x100, "?")
    assert (second.start_time_unix_nano, second.end_time_unix_nano) == (10, 30)
    assert (third.kind, third.parent_span_id, len(third.attributes)) == (1, b"", 64)


@pytest.mark.parametrize("state", ["1=quoted", "a@@b=quoted", "a=quoted,a=twice", "a=1,b=2"])
async def test_what_callers_say_of_a_trace_arrives_as_it_came_and_is_in_no_warning(
    collector: Collector, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    sink = Otlp(endpoint=collector.url)
    async with started(sink):
        sink.span(span(1, state=state))
        sink.span(span(2))
    assert [each.trace_state for each in collector.spans()] == [state, ""]
    assert caplog.records == []


async def test_a_request_over_a_server_is_one_trace_at_the_collector(collector: Collector, tmp_path: Path) -> None:
    kit = Kit(
        storage=storage_in(tmp_path),
        lanes=[Lane("/api", serve=[Runs()])],
        telemetry={"otlp": Otlp(endpoint=collector.url, sample=0)},
    )
    async with serving(kit) as server:
        for headers in ({"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "a=1"}, {}):
            await server.client.post("/api/runs/r/events", json={"type": "a"}, headers=headers)
    served, stored, commit = sorted(collector.spans(), key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in (served, stored, commit)] == [
        "POST /api/runs/{run_id}/events", "store events", "commit",
    ]  # fmt: skip
    assert {span.trace_id.hex() for span in (served, stored, commit)} == {TRACE}
    assert served.parent_span_id.hex() == CALLER
    assert (stored.parent_span_id, commit.parent_span_id) == (served.span_id, stored.span_id)
    assert served.trace_state == "a=1"
    assert values_of(commit.attributes) == {"agentops.requests": 1, "agentops.events": 1}
    assert collector.metrics()["agentops.events.stored"].sum.data_points[0].as_double == 2


@pytest.mark.parametrize(("sample", "least", "most"), [(0, 0, 0), (0.25, 400, 600), (1, 2000, 2000)])
def test_traces_are_sampled_by_their_id(sample: float, least: int, most: int) -> None:
    sink = Otlp(sample=sample)
    step = 2**64 // 2000
    assert least <= sum(sink.samples(3 << 64 | step * number) for number in range(2000)) <= most


@pytest.mark.parametrize(("traces", "metrics"), [(True, False), (False, True), (False, False)])
async def test_either_may_be_left_out(collector: Collector, traces: bool, metrics: bool) -> None:
    sink, signals = Otlp(endpoint=collector.url, traces=traces, metrics=metrics, sample=1), Signals()
    async with sink.life(Rungs(signals=signals)):
        with signals.told_to(sink), signals.span("work"):
            signals.event("told")
            signals.count("counted")
            signals.observe("observed", 1)
            signals.gauge("gauged", 1)
    assert [bool(collector.messages(path)) for path in ("/v1/traces", "/v1/metrics")] == [traces, metrics]


async def test_it_sends_now_and_then(collector: Collector) -> None:
    sink = Otlp(endpoint=collector.url, interval_seconds=0.05)
    async with started(sink):
        sink.span(span())
        sink.count("things", 1, {})
        await until(lambda: collector.messages("/v1/traces") and collector.messages("/v1/metrics"))


async def test_it_sends_sooner_when_many_spans_wait(collector: Collector) -> None:
    sink = Otlp(endpoint=collector.url, interval_seconds=3600)
    async with started(sink):
        for number in range(BATCH + 1):
            sink.span(span(number + 1))
        await until(lambda: len(collector.messages("/v1/traces")) == 2)
        assert [item.span_id.hex() for item in collector.spans()] == [
            f"{number + 1:016x}" for number in range(BATCH + 1)
        ]


async def test_its_headers_are_sent_and_shown_to_nobody(collector: Collector) -> None:
    sink = Otlp(endpoint=collector.url, headers={"X-Api-Key": Secret("1234567")}, interval_seconds=0.05)
    signals, kept = told(sink)
    collector.answer = b"HTTP/1.1 401 1234567\r\nx-api-key: 1234567\r\n\r\n"
    async with sink.life(Rungs(signals=signals)):
        signals.count("things")
        await until(lambda: kept.named("otlp.failing"))
    assert "\r\nX-Api-Key: 1234567\r\n" in collector.heads[0]
    assert "1234567" not in repr(kept.events) + repr(kept.figures) + repr(sink.settings)


FAULTS = {
    "silent": (None, "it did not answer within 0.2 s"),
    "refuses": (b"HTTP/1.1 400 Bad\r\n\r\n", "it answered 400"),
    "fails": (b"HTTP/1.1 500 Oh\r\n\r\n", "it answered 500"),
    "too-many": (b"HTTP/1.1 429 Slow\r\n\r\n", "it answered 429"),
    "redirects": (b"HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "it answered 307"),
    "garbage": (b"\x00\xff garbage \r\n\r\n", "what it answers is not HTTP"),
    "endless-head": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "LimitOverrunError"),
    "half-a-head": (b"HTTP/1.1 200 OK\r\n", "it closed the connection"),
    "status-of-letters": (b"HTTP/1.1 OK\r\n\r\n", "what it answers is not HTTP"),
}


@pytest.mark.parametrize(("answer", "reason"), FAULTS.values(), ids=FAULTS)
async def test_a_collector_that_fails_costs_one_warning_and_is_told_of_when_it_works(
    collector: Collector, answer: bytes | None, reason: str
) -> None:
    sink = Otlp(endpoint=collector.url, interval_seconds=0.05, timeout_seconds=0.2, traces=False)
    signals, kept = told(sink)
    collector.answer = answer
    async with sink.life(Rungs(signals=signals)):
        signals.count("things")
        await until(lambda: len(collector.heads) > 2)
        level, fields = kept.only("otlp.failing")
        assert (level, fields["reason"], fields["what"]) == ("warning", reason, "metrics")
        collector.answer = OK
        await until(lambda: kept.named("otlp.works_again"))
    assert len(kept.named("otlp.failing")) == len(kept.named("otlp.works_again")) == 1
    assert [name for name, _, _ in kept.events] == ["otlp.failing", "otlp.works_again"]


async def test_a_collector_that_is_away_is_told_of_once_for_both(collector: Collector) -> None:
    sink = Otlp(endpoint=collector.url, interval_seconds=0.05)
    signals, kept = told(sink)
    collector.answer = b"HTTP/1.1 503 Later\r\n\r\n"
    async with sink.life(Rungs(signals=signals)):
        signals.count("things")
        sink.span(span())
        await until(lambda: len(collector.heads) > 4)
        assert kept.only("otlp.failing")[1]["what"] == "traces"
        collector.answer = OK
        await until(lambda: kept.named("otlp.works_again"))
    assert len(collector.spans()) == 1
    assert collector.messages("/v1/metrics")


async def test_what_fails_for_another_reason_is_told_of_too(collector: Collector) -> None:
    signals, kept = told(Otlp())
    traces, metrics = lines(Collecting(collector.url, {}, 1), signals, collector.url)
    collector.answer = b"HTTP/1.1 404 No\r\n\r\n"
    await traces.send(b"")
    collector.answer = b"HTTP/1.1 503 Later\r\n\r\n"
    await metrics.send(b"")
    for again in (b"HTTP/1.1 503 Later\r\n\r\n", b"HTTP/1.1 500 Oh\r\n\r\n"):
        collector.answer = again
        await traces.send(b"")
    assert [(each["what"], each["reason"]) for each in kept.named("otlp.failing")] == [
        ("traces", "it answered 404"),
        ("metrics", "it answered 503"),
    ]
    collector.answer = OK
    await traces.send(b"")
    assert kept.named("otlp.works_again") == []
    await metrics.send(b"")
    assert len(kept.named("otlp.works_again")) == 1


async def test_the_rest_of_an_answer_is_not_read(collector: Collector) -> None:
    collector.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"\xff" * 50_000_000
    sink = Otlp(endpoint=collector.url, timeout_seconds=60)
    signals, kept = told(sink)
    async with sink.life(Rungs(signals=signals)):
        signals.event("told")
    assert kept.named("otlp.failing") == []
    assert len(collector.taken) == 1


@pytest.mark.parametrize(
    ("answer", "arrive"),
    [
        (b"HTTP/1.1 503 Later\r\n\r\n", True),
        (b"HTTP/1.1 429 Later\r\n\r\n", True),
        (None, True),
        (b"HTTP/1.1 400 Never\r\n\r\n", False),
        (b"HTTP/1.1 302 Elsewhere\r\n\r\n", False),
    ],
    ids=["unavailable", "throttled", "silent", "refused", "redirected"],
)
async def test_spans_that_were_not_taken_are_sent_again_unless_they_were_refused(
    collector: Collector, answer: bytes | None, arrive: bool
) -> None:
    sink = Otlp(endpoint=collector.url, interval_seconds=0.05, timeout_seconds=0.2, metrics=False)
    signals, kept = told(sink)
    collector.answer = answer
    async with sink.life(Rungs(signals=signals)):
        sink.span(span(1))
        await until(lambda: kept.named("otlp.failing"))
        collector.answer = OK
        sink.span(span(2))
        await until(lambda: kept.named("otlp.works_again"))
    assert [item.name for item in collector.spans()] == (["span 1", "span 2"] if arrive else ["span 2"])
    lost = [value for _, name, value, _ in kept.figures if name == "otlp.spans_lost"]
    assert lost == ([] if arrive else [1])


@pytest.mark.parametrize(("asked", "waits"), [("3600", ASKED_WAIT_MOST), ("7", 7), ("soon", 0), ("9" * 400, 0)])
async def test_a_collector_that_asks_to_be_left_alone_is(collector: Collector, asked: str, waits: float) -> None:
    sink = Otlp(endpoint=collector.url)
    collector.answer = f"HTTP/1.1 429 Later\r\nretry-after: {asked}\r\n\r\n".encode()
    (spans, _) = sink._senders(Signals())
    sink.span(span())
    before = time.monotonic()
    await spans.send()
    await spans.send()
    assert len(collector.heads) == (1 if waits else 2)
    assert spans._line._not_before - before == pytest.approx(waits, abs=1)


async def test_what_waits_is_bounded_while_nobody_takes_it() -> None:
    sink = Otlp(endpoint=f"http://127.0.0.1:{closed_port()}", interval_seconds=0.05, spans_most=BATCH, metrics=False)
    signals, kept = told(sink)
    async with sink.life(Rungs(signals=signals)):
        for number in range(3 * BATCH):
            sink.span(span(number + 1, attributes={"long": "x" * 100_000}))
        await until(lambda: any(name == "otlp.spans_lost" for _, name, _, _ in kept.figures))
        assert len(sink._spans) == BATCH
        assert all(len(str(item.attributes["agentops.long"])) == 1024 for item in sink._spans._spans)
    assert sum(value for _, name, value, _ in kept.figures if name == "otlp.spans_lost") == 2 * BATCH
    assert kept.only("otlp.failing")[1]["reason"] == "ConnectionRefusedError"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


async def test_a_batch_goes_back_only_as_far_as_there_is_room() -> None:
    waiting = Otlp(spans_most=3)._spans
    for number in range(3):
        waiting.add(span(number))
    batch = waiting.take(2)
    waiting.add(span(3))
    waiting.put_back(batch)
    assert [item.span_id for item in waiting.take(9)] == [0, 2, 3]
    assert (waiting.take_lost(), waiting.take_lost()) == (1, 0)


async def test_labels_are_bounded(collector: Collector) -> None:
    sink = Otlp(endpoint=collector.url, label_sets_most=3)
    async with started(sink):
        for number in range(10):
            sink.count("asked", 1, {"who": str(number)})
        sink.count("long", 1, {"who": "x" * 1000})
        sink.count("broken", 1, {"\ud800": "\ud800"})
    points = collector.metrics()["agentops.asked"].sum.data_points
    assert {values_of(point.attributes)["who"]: point.as_double for point in points} == {
        "0": 1,
        "1": 1,
        "2": 1,
        REST: 7,
    }
    assert values_of(collector.metrics()["agentops.long"].sum.data_points[0].attributes) == {"who": REST}
    assert values_of(collector.metrics()["agentops.broken"].sum.data_points[0].attributes) == {"?": "?"}


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 503 Later\r\n\r\n", OK], ids=["silent", "unavailable", "works"])
async def test_it_stops_in_time_whatever_the_collector_does(collector: Collector, answer: bytes | None) -> None:
    collector.answer = answer
    sink = Otlp(endpoint=collector.url, interval_seconds=0.05, stop_seconds=0.3, timeout_seconds=60)
    threads = set(threading.enumerate())
    signals, kept = told(sink)
    async with sink.life(Rungs(signals=signals)):
        sink.span(span())
        sink.count("things", 1, {})
        await collector.asked.wait()
        began = time.monotonic()
    assert time.monotonic() - began < 1
    await until(lambda: collector.open == 0)
    more = {thread.name for thread in set(threading.enumerate()) - threads}
    assert all(name.startswith("asyncio_") for name in more)
    assert bool(collector.taken) is (answer is OK)
    assert [fields["spans"] for fields in kept.named("otlp.unsent")] == ([] if answer is OK else [1])


async def test_a_request_waits_for_no_collector(
    collector: Collector, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    collector.answer = None
    otlp = Otlp(endpoint=collector.url, interval_seconds=0.05, timeout_seconds=60, stop_seconds=0.1, sample=1)
    kit = Kit(storage=storage_in(tmp_path), lanes=[Lane("/api", serve=[Runs()])], telemetry={"otlp": otlp})
    async with serving(kit) as server:
        await server.client.post("/api/runs/r/events", json={"type": "a"})
        await collector.asked.wait()
        async with asyncio.timeout(5):
            assert (await server.client.post("/api/runs/r/events", json={"type": "a"})).status_code == 201
    assert capfd.readouterr() == ("", "")


async def test_over_tls_the_certificate_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    collector = Collector()
    async with await asyncio.start_server(collector.serve, "127.0.0.1", 0, ssl=context) as server:
        endpoint = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        sink = Otlp(endpoint=endpoint, interval_seconds=0.05)
        signals, kept = told(sink)
        async with sink.life(Rungs(signals=signals)):
            signals.event("told")
            await until(lambda: kept.named("otlp.failing"))
        assert str(kept.only("otlp.failing")[1]["reason"]).startswith("its certificate is not to be trusted")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with started(trusting := Otlp(endpoint=endpoint)):
            trusting.count("things", 1, {})
    assert len(collector.taken) == 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "", "localhost:4318", "ftp://x", "http://", "http://x:99999", "http://x:0", "http://[x", "http://x y",
        "http://x\n", "http://żółw", "http://key@x", "http://x/?key=1", "http://x/#a",
    ],
)  # fmt: skip
def test_an_endpoint_that_is_none_is_a_problem(endpoint: str) -> None:
    (problem,) = Otlp(endpoint=endpoint).check()
    assert problem.key == "endpoint"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "v"), ("a b", "v"), ("a:", "v"), ("Content-Length", "1"), ("host", "x"), ("x", " secret1234"),
        ("x", "secret1234\r\ny: z"), ("x", "secret1234ż"),
    ],
)  # fmt: skip
def test_a_header_that_is_none_is_a_problem_that_shows_nothing(name: str, value: str) -> None:
    (problem,) = Otlp(headers={name: Secret(value)}).check()
    assert problem.key == f"headers.{name}"
    assert "secret1234" not in str(problem)


def test_what_is_right_is_no_problem() -> None:
    assert list(Otlp(endpoint="https://[::1]:4318/otlp", headers={"Authorization": Secret("Bearer a b")}).check()) == []
    (problem,) = Otlp(buckets=[2, 1]).check()
    assert problem.key == "buckets"
