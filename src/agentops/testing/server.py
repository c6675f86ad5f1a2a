"""A live server for tests: a real uvicorn on a free port, in the test's own event loop.

    async with serving(Kit(...)) as server:
        answer = await server.client.get("/api/runs")

Litestar's own test clients either hang on an endless stream or run the application in another loop.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec
import uvicorn

from agentops.cli.serving.trailers import WithoutTrailers
from agentops.core.kit import Kit

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator

    from litestar import Litestar

GRACE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class LiveServer:
    """A server that answers at `url`, and a client for it."""

    url: str
    client: httpx.AsyncClient

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 80


@asynccontextmanager
async def serving(served: Kit | Litestar, *inside: Kit) -> AsyncGenerator[LiveServer]:
    """Serve a kit, or an application and the kits inside it; at the end, stop as if told to by a signal.

    What goes wrong at start is raised here, and not only logged as uvicorn would.
    """
    app, kits = (served.app(), (served,)) if isinstance(served, Kit) else (served, inside)
    server = _Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            lifespan="off",
            log_config=None,
            access_log=False,
            http=WithoutTrailers,
            proxy_headers=False,  # as for `agentops serve`: the peer is whoever connects, not who a header says
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    running = asyncio.create_task(_run(app, server))
    running.add_done_callback(lambda _: server.listening.set())
    try:
        await server.listening.wait()
        if running.done():
            running.result()
        async with client_of(server.url) as client:
            yield LiveServer(server.url, client)
    finally:
        for kit in kits:
            kit.drain()
        server.stopping.set()
        await running


def client_of(url: str) -> httpx.AsyncClient:
    """A client for plain HTTP: it is spared the list of the world's authorities, which takes longer than a start."""
    return httpx.AsyncClient(base_url=url, timeout=30, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def _run(app: Litestar, server: _Server) -> None:
    """In a task of its own: a fixture may be left in another task than it was entered in, a lifespan may not."""
    async with app.lifespan():
        await server.serve()


class Frames:
    """What a stream sends, a frame at a time, exactly as it was sent."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._chunks = response.aiter_bytes()
        self._unread = b""

    async def next(self, seconds: float = 10) -> bytes:
        """Return the next frame with the blank line that ends it; raise `StopAsyncIteration` when there are no more."""
        async with asyncio.timeout(seconds):
            while b"\n\n" not in self._unread:
                self._unread += await anext(self._chunks)
        frame, end, self._unread = self._unread.partition(b"\n\n")
        return frame + end

    async def events(self, count: int) -> list[Any]:
        """Return the next so many events, decoded; comments between them are passed over."""
        events: list[Any] = []
        while len(events) < count:
            fields = dict(line.split(b": ", 1) for line in (await self.next()).splitlines() if line)
            if b"data" in fields:
                events.append(msgspec.json.decode(fields[b"data"]))
        return events


@asynccontextmanager
async def following(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncGenerator[Frames]:
    """Open a stream, and read the comment that says it is open."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.stream("GET", path, headers=named) as response:
        frames = Frames(response)
        if response.is_success:
            opened = await frames.next()
            if opened != b": connected\n\n":
                raise AssertionError(f"a stream opens with its comment, and not with {opened!r}")
        yield frames


class _Server(uvicorn.Server):
    """Says when it listens and is told when to stop; uvicorn's own asks ten times a second, and must be asked."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()

    @property
    def url(self) -> str:
        address: tuple[str, int] = self.servers[0].sockets[0].getsockname()
        return f"http://{address[0]}:{address[1]}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()
