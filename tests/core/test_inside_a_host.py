"""A kit inside another Litestar application: neither touches the other."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from litestar import Litestar, Request, Response, get
from litestar.config.cors import CORSConfig
from litestar.middleware import ASGIMiddleware

from agentops import Kit, Lane
from agentops.plugins.features.runs import Runs
from agentops.testing.server import LiveServer, following, serving
from tests.core.parts import Probe, storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar.types import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORIGIN = {"Origin": "https://host.example"}


class Marking(ASGIMiddleware):
    """The host's middleware: it marks every answer that passes it."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-host", b"seen")]
            await send(message)

        await next_app(scope, receive, marked)


@get("/host")
async def own() -> str:
    return "mine"


@get("/host/boom")
async def boom() -> None:
    raise RuntimeError("in the host")


def handle(_request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    return Response(f"host: {type(error).__name__}", status_code=418, media_type="text/plain")


class Host:
    """An application with one of everything that could get in the way, and what its hooks have seen."""

    def __init__(self, kit: Kit) -> None:
        self.seen: list[str] = []
        self.app = Litestar(
            [own, boom],
            plugins=[kit],
            middleware=[Marking()],
            exception_handlers={Exception: handle},
            cors_config=CORSConfig(allow_origins=["https://host.example"]),
            before_request=self.before,
            after_request=self.after,
            lifespan=[self.life],
            openapi_config=None,
        )

    async def before(self, request: Request[Any, Any, Any]) -> None:
        self.seen.append(f"before {request.url.path}")

    async def after(self, response: Response[Any]) -> Response[Any]:
        self.seen.append("after")
        return response

    @asynccontextmanager
    async def life(self, _app: Litestar) -> AsyncIterator[None]:
        self.seen.append("host starts")
        yield
        self.seen.append("host stops")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    lanes = [Lane("/api", serve=[Runs(), Probe()], errors="plain", cors=["https://lane.example"])]
    return Kit(storage=storage_in(tmp_path_factory.mktemp("host")), lanes=lanes)


@pytest.fixture(scope="module")
def host(kit: Kit) -> Host:
    return Host(kit)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(host: Host, kit: Kit) -> AsyncIterator[LiveServer]:
    async with serving(host.app, kit) as it:
        yield it


async def test_the_lanes_answer_beside_the_hosts_routes(server: LiveServer) -> None:
    assert (await server.client.post("/api/runs", json={"id": "a/b"})).status_code == 201
    assert (await server.client.get("/api/runs/a%2Fb")).json()["id"] == "a/b"
    assert (await server.client.get("/host")).text == "mine"


async def test_a_stream_inside_a_host(server: LiveServer) -> None:
    async with following(server.client, "/api/runs/r/stream") as frames:
        sent = (await server.client.post("/api/runs/r/events", json={"type": "a"})).json()
        assert await frames.events(1) == [sent]


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/api/runs/none", 404, b'{"error":"not_found"}'),
        ("/api/nowhere", 404, b'{"error":"not_found"}'),
        ("/api/boom", 500, b'{"error":"internal_error"}'),
    ],
)
async def test_the_hosts_handlers_and_middleware_do_not_touch_the_lanes(
    server: LiveServer, host: Host, path: str, status: int, body: bytes
) -> None:
    host.seen.clear()
    answer = await server.client.get(path, headers=ORIGIN)
    assert (answer.status_code, answer.content) == (status, body)
    assert "x-host" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert host.seen == []


async def test_the_lanes_have_their_own_cors(server: LiveServer) -> None:
    asked = {"Access-Control-Request-Method": "GET"}
    mine = await server.client.options("/api/runs", headers=asked | {"Origin": "https://lane.example"})
    hosts = await server.client.options("/host", headers=asked | ORIGIN)
    assert (mine.status_code, mine.headers["access-control-allow-origin"]) == (204, "https://lane.example")
    assert hosts.headers["access-control-allow-origin"] == "https://host.example"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/host", 200, "mine"),
        ("/host/boom", 418, "host: RuntimeError"),
        ("/nowhere", 418, "host: NotFoundException"),
        ("/healthz", 418, "host: NotFoundException"),
        ("/schema", 418, "host: NotFoundException"),
        ("/apiary", 418, "host: NotFoundException"),
    ],
)
async def test_the_hosts_routes_are_as_they_were(
    server: LiveServer, host: Host, path: str, status: int, body: str
) -> None:
    host.seen.clear()
    answer = await server.client.get(path, headers=ORIGIN)
    assert (answer.status_code, answer.text) == (status, body)
    assert answer.headers["access-control-allow-origin"] == "https://host.example"
    assert "x-request-id" not in answer.headers
    assert path == "/host" or "x-host" not in answer.headers or status == 418
    assert (host.seen == ["before /host", "after"]) == (path == "/host")


async def test_the_kit_lives_as_long_as_the_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    kit = Kit(storage=storage_in(tmp_path_factory.mktemp("life")), lanes=[Lane("/api", serve=[Runs()])])
    host = Host(kit)
    original = host.app.asgi_handler
    async with serving(host.app, kit) as server:
        assert (await server.client.get("/api/runs")).status_code == 200
        assert host.app.asgi_handler is not original
    assert host.seen == ["host starts", "host stops"]
    assert host.app.asgi_handler == original


async def test_a_websocket_is_the_hosts(host: Host, server: LiveServer) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope: Any = {
        "type": "websocket",
        "path": "/api/runs",
        "raw_path": b"/api/runs",
        "headers": [],
        "query_string": b"",
    }
    await host.app(scope | {"root_path": "", "client": None, "subprotocols": []}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
