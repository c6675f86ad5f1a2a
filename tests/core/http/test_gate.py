"""Before routing: the lane of a path, the id of a request, slashes that belong to a name, and what is no request."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from agentops import Kit, Lane, Secret
from agentops.core.http import beyond_asgi
from agentops.core.http.asgi import Message
from agentops.core.http.gate import lane_at
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.features.runs import Runs
from tests.core.http.asking import scope_of, sent_by
from tests.core.parts import Badge, Probe, storage_in

if TYPE_CHECKING:
    from pathlib import Path

LANES = [Lane("/a", serve=[Runs()], name="a"), Lane("/a-b/v1", serve=[Runs()], name="b")]


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/x", "a"),
        ("//a//x", "a"),
        ("/a-b/v1/x", "b"),
        ("/a-b", ""),
        ("/ab", ""),
        ("/", ""),
        ("/x/a", ""),
    ],
)
def test_a_path_belongs_to_the_lane_it_begins_with(path: str, lane: str) -> None:
    found = lane_at(LANES, {"path": path})
    assert (found.name if found else "") == lane


def test_a_lane_is_found_below_the_path_of_a_proxy() -> None:
    found = lane_at(LANES, {"path": "/proxied/a/x", "root_path": "/proxied"})
    assert found is LANES[0]


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(storage=storage_in(tmp_path), lanes=[Lane("/api", serve=[Runs(), Probe()], errors="plain")])


async def test_a_websocket_is_refused(kit: Kit) -> None:
    scope = scope_of("GET", "/api/runs") | {"type": "websocket", "subprotocols": []}
    del scope["method"]
    assert [message["type"] for message in await sent_by(kit, scope)] == ["websocket.close"]


async def test_a_sender_that_leaves_before_its_body_makes_nothing(kit: Kit) -> None:
    sent = await sent_by(kit, scope_of("POST", "/api/runs"))
    assert sent[0]["status"] == 400
    assert b"incomplete_body" in sent[1]["body"]


async def test_a_sender_that_leaves_in_the_middle_of_its_body_makes_nothing(kit: Kit) -> None:
    body = {"type": "http.request", "body": b'{"type":"a"}', "more_body": True}
    sent = await sent_by(kit, scope_of("POST", "/api/runs/r/events"), body)
    assert sent[0]["status"] == 400


async def test_a_stream_without_a_known_server_has_no_header_of_http_1(kit: Kit) -> None:
    """Over HTTP/2 a `Connection` header is an error; and the reader that left ends the stream."""
    sent = await sent_by(kit, scope_of("GET", "/api/runs/r/stream"))
    assert sent[0]["status"] == 200
    assert b"connection" not in dict(sent[0]["headers"])
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_lane_of_named_origins_lets_in_these(tmp_path: Path) -> None:
    lanes = [Lane("/api", serve=[Runs()], cors=["https://page.example"]), Lane("/all", serve=[Runs()], cors=["*"])]
    kit = Kit(storage=storage_in(tmp_path), lanes=lanes)
    assert (
        dict((await sent_by(kit, scope_of("GET", "/all/runs")))[0]["headers"])[b"access-control-allow-origin"] == b"*"
    )
    for origin, allowed in ((b"https://page.example", True), (b"https://other.example", False)):
        scope = scope_of("GET", "/api/runs") | {"headers": [(b"origin", origin)]}
        headers = dict((await sent_by(kit, scope))[0]["headers"])
        assert headers[b"vary"] == b"Origin"
        assert (headers.get(b"access-control-allow-origin") == origin) is allowed


class Bearer(Badge):
    """Wants its credential in no header of its own."""

    def credential(self) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


async def test_a_preflight_allows_the_headers_of_the_lanes_own_credentials(tmp_path: Path) -> None:
    auth = {
        "mine": StaticKey(header="x-mine", more_headers=["x-api-key", "x-second"], keys=[Secret("k")]),
        "usual": StaticKey(header="X-API-KEY", keys=[Secret("k")]),
        "bearer": Bearer(),
        "silent": Badge(),
    }
    lanes = [Lane("/api", serve=[Runs()], auth=[*auth], cors=["*"]), Lane("/open", serve=[Runs()], cors=["*"])]
    kit = Kit(storage=storage_in(tmp_path), auth=auth, lanes=lanes)
    usual = b"Content-Type, X-Api-Key, Authorization, Last-Event-ID"
    for path, allowed in (("/api/runs", usual + b", x-mine, x-second"), ("/open/runs", usual)):
        answer, _ = await sent_by(kit, scope_of("OPTIONS", path))
        assert answer["status"] == 204
        assert dict(answer["headers"])[b"access-control-allow-headers"] == allowed


async def test_what_only_uvicorn_can_do_is_done_without_elsewhere() -> None:
    async def send(_message: Message) -> None: ...

    assert beyond_asgi.direct_writer(send) is None
    assert beyond_asgi.abort(send) is False


class Exchange:
    """Holds its scope and sends for it, as the servers' own do."""

    def __init__(self, path: str) -> None:
        self.scope = scope_of("GET", path)
        self.status = 0

    async def receive(self) -> Message:
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/runs", 200), ("/api/runs/r/events", 200), ("/api/runs/r/stream", 200), ("/api/no", 404), ("/no", 404)],
)
async def test_a_request_is_gone_when_it_is_answered(kit: Kit, path: str, status: int) -> None:
    """What is left in a circle waits for the garbage collector, which then stops everybody for milliseconds."""
    app = kit.app()
    async with app.lifespan():
        gc.collect()
        gc.disable()
        try:
            exchange = Exchange(path)
            await app(exchange.scope, exchange.receive, exchange.send)
            assert exchange.status == status
            gone = weakref.ref(exchange)
            del exchange
            assert gone() is None
        finally:
            gc.enable()
