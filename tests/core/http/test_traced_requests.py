"""A request is one trace, from its first byte to the commit of what it stores."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from agentops import Kit, Lane
from agentops.core.errors import Unavailable
from agentops.plugins.features.runs import Runs
from agentops.plugins.retry.backoff import Backoff
from agentops.plugins.retry.none import NoRetry
from agentops.plugins.storage.sqlite import Sqlite
from agentops.testing.retry import Attempts
from agentops.testing.server import following, serving
from tests.core.http.asking import scope_of, sent_by
from tests.core.parts import Badge, Probe, storage_in, until
from tests.core.tracing_parts import CALLER, TRACE, Spans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentops import Retry
    from agentops.core.http.asgi import Message
    from agentops.core.ports.storage import Append

PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


def kit(folder: Path, sink: Spans, storage: Any = None, retry: Retry | None = None) -> Kit:
    lanes = [Lane("/api", serve=[Probe(), Runs()], auth=["badge"], name="api"), Lane("/free", serve=[Runs()])]
    return Kit(
        storage=storage or storage_in(folder),
        auth={"badge": Badge()},
        lanes=lanes,
        telemetry={"spans": sink},
        retry=retry,
    )


async def test_a_request_is_one_trace_from_its_caller_to_the_commit(tmp_path: Path) -> None:
    sink = Spans()
    headers = {**PARENT, "x-badge": "recorder", "x-request-id": "mine"}
    async with serving(kit(tmp_path, sink)) as server:
        answer = await server.client.post("/api/runs/r/events?token=1234", json={"type": "a"}, headers=headers)
        assert answer.status_code == 201
        await until(lambda: len(sink.spans) == 4)
    served = sink.called("POST /api/runs/{run_id}/events")
    judged, stored, commit = (sink.called(name) for name in ("authenticate", "store events", "commit"))
    assert {f"{span.trace_id:032x}" for span in sink.spans} == {TRACE}
    assert [f"{served.parent_id:016x}", judged.parent_id, stored.parent_id, commit.parent_id] == [
        CALLER, served.span_id, served.span_id, stored.span_id,
    ]  # fmt: skip
    assert (served.kind, served.failed) == ("server", False)
    assert served.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/runs/{run_id}/events",
        "http.response.status_code": 201,
        "url.scheme": "http",
        "url.path": "/api/runs/r/events",
        "network.protocol.version": "1.1",
        "request_id": "mine",
        "lane": "api",
    }
    assert (stored.attributes, commit.attributes) == ({"events": 1}, {"requests": 1, "events": 1})
    assert served.began_ns <= judged.began_ns <= judged.ended_ns <= stored.began_ns
    assert stored.began_ns <= commit.began_ns <= commit.ended_ns <= stored.ended_ns <= served.ended_ns
    assert [fields["trace_id"] for fields in sink.named("request")] == [TRACE]


async def test_one_commit_is_a_part_of_each_request_that_waited_for_it(tmp_path: Path) -> None:
    sink = Spans()
    async with serving(kit(tmp_path, sink)) as server:
        posts = (server.client.post(f"/free/runs/{run}/events", json={"type": "a"}) for run in range(20))
        await asyncio.gather(*posts)
        await until(lambda: len([span for span in sink.spans if span.kind == "server"]) == 20)
    commits = [span for span in sink.spans if span.name == "commit"]
    assert len(commits) == len({span.trace_id for span in sink.spans}) == 20
    together = Counter(span.ended_ns - span.began_ns for span in commits)
    assert all(span.attributes["requests"] == together[span.ended_ns - span.began_ns] for span in commits)


class Away(Sqlite):
    async def append(self, batch: Sequence[Append]) -> Any:
        raise Unavailable("it is away", code="storage_unavailable")


async def test_a_commit_that_fails_fails_in_the_trace(tmp_path: Path) -> None:
    sink = Spans()
    async with serving(kit(tmp_path, sink, Away(path=str(tmp_path / "a.sqlite")))) as server:
        assert (await server.client.post("/free/runs/r/events", json={"type": "a"})).status_code == 503
        await until(lambda: len(sink.spans) == 3)
    assert all(span.failed for span in sink.spans)
    assert sink.called("store events").attributes["error.type"] == "storage_unavailable"
    assert sink.called("POST /free/runs/{run_id}/events").attributes["error.type"] == "503"


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("GET", "/api/who", "GET /api/who", 200),
        ("GET", "/api/refusals/Conflict", "GET /api/refusals/{name}", 409),
        ("GET", "/api/boom", "GET /api/boom", 500),
        ("GET", "/api/none/a%2Fb", "GET", 404),
        ("GET", "/", "GET", 404),
        ("PROPFIND", "/api/who", "HTTP", 405),
    ],
)
async def test_a_request_is_named_by_its_route(tmp_path: Path, method: str, path: str, name: str, status: int) -> None:
    sink = Spans()
    async with serving(kit(tmp_path, sink)) as server:
        answer = await server.client.request(method, path, headers={"x-badge": "reader"})
        await until(lambda: [span for span in sink.spans if span.kind == "server"])
    (served,) = [span for span in sink.spans if span.kind == "server"]
    assert (answer.status_code, served.name, served.failed) == (status, name, status == 500)
    assert served.attributes["http.response.status_code"] == status
    assert served.attributes["http.request.method"] == (method if method == "GET" else "_OTHER")
    assert served.attributes["url.path"] == path
    assert served.attributes.get("error.type") == ("500" if status == 500 else None)
    assert not any(span.failed for span in sink.spans if span.name == "authenticate")


async def test_a_stream_is_told_of_where_it_begins(tmp_path: Path) -> None:
    sink = Spans()
    async with serving(kit(tmp_path, sink)) as server:
        async with following(server.client, "/free/runs/r/stream"):
            served = sink.called("GET /free/runs/{run_id}/stream")
            assert served.attributes["http.response.status_code"] == 200
        await until(lambda: sink.named("request"))
    assert len(sink.spans) == 1
    assert sink.named("request")[0]["trace_id"] == f"{served.trace_id:032x}"


async def test_one_that_is_never_answered_has_no_status(tmp_path: Path) -> None:
    sink = Spans()

    async def lose(_message: Message) -> None:
        raise ConnectionResetError

    app: Any = kit(tmp_path, sink).app()
    async with app.lifespan():
        app.asgi_handler._inner = lambda *_: lose({})
        with pytest.raises(ConnectionResetError):
            await app(scope_of("GET", "/"), lose, lose)
    (served,) = sink.spans
    assert served.failed
    assert served.attributes["error.type"] == "ConnectionResetError"
    assert "http.response.status_code" not in served.attributes


async def test_a_preflight_is_no_trace(tmp_path: Path) -> None:
    sink = Spans()
    lanes = [Lane("/free", serve=[Runs()], cors=["*"])]
    preflown = Kit(storage=storage_in(tmp_path), lanes=lanes, telemetry={"spans": sink})
    assert (await sent_by(preflown, scope_of("OPTIONS", "/free/runs")))[0]["status"] == 204
    assert sink.spans == []


@pytest.mark.parametrize(("retry", "attempts"), [(Backoff(base_seconds=0.001), 3), (NoRetry(), 1)], ids=["b", "none"])
async def test_each_attempt_of_a_call_is_a_span_and_sends_itself_along(
    tmp_path: Path, retry: Retry, attempts: int
) -> None:
    sink, sent = Spans(), list[str]()
    tried, fails = kit(tmp_path, sink, retry=retry), Attempts(attempts - 1)

    async def call() -> int:
        sent.append(tried._signals.trace_headers()["traceparent"])
        return await fails()

    async with tried.running():
        with tried._signals.request([(b"traceparent", PARENT["traceparent"].encode())]):
            assert await tried.retry("draft", adapter="a").call(call, None) == attempts
    spans = [span for span in sink.spans if span.name == "draft"]
    assert [f"00-{TRACE}-{span.span_id:016x}-01" for span in spans] == sent
    assert [span.kind for span in spans] == ["client"] * attempts
    assert [span.failed for span in spans] == [True] * (attempts - 1) + [False]
    assert {(span.attributes["operation"], span.attributes["adapter"]) for span in spans} == {("draft", "a")}


class Exchange:
    """Holds its scope and sends for it, as the servers' own do."""

    def __init__(self, path: str) -> None:
        self.scope = scope_of("GET", path)

    async def receive(self) -> Message:
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None: ...


@pytest.mark.parametrize("path", ["/free/runs", "/free/runs/r/stream", "/api/who", "/free/no"])
async def test_a_traced_request_is_gone_when_it_is_answered(tmp_path: Path, path: str) -> None:
    app = kit(tmp_path, Spans()).app()
    async with app.lifespan():
        gc.collect()
        gc.disable()
        try:
            exchange = Exchange(path)
            await app(exchange.scope, exchange.receive, exchange.send)
            gone = weakref.ref(exchange)
            del exchange
            assert gone() is None
        finally:
            gc.enable()
