"""A server on this machine that publishes keys, and fails in every way a server can."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jwt.algorithms import get_default_algorithms

from tests.security.jwt_making import without_absent

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator

_ALGORITHMS = get_default_algorithms()


class Publisher:
    """It lives on the loop of the test, so a fetch that blocked the loop would never be answered."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[dict[str, Any]] = []
        self.body: bytes | None = None
        """In place of the keys."""
        self.status = "200 OK"
        self.headers: list[str] = []
        self.asked = 0
        self.answering = asyncio.Event()
        self.answering.set()
        """Cleared, requests wait; what they are then answered is what was there when they came."""
        self.chunk = 1 << 20
        self._change = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self, listener: socket.socket | None = None) -> None:
        """Listen where it did before, or on a socket to which somebody may have come already."""
        if listener is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        else:
            self._server = await asyncio.start_server(self._connected, sock=listener)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/jwks.json"

    async def close(self) -> None:
        """From now on nobody listens there."""
        self.answering.set()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await asyncio.gather(*self._connections)

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(10), self._change:
            await self._change.wait_for(lambda: self.asked >= times)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._answer(reader, writer)
        except ConnectionError:
            pass  # the other side has seen enough
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        async with self._change:
            self._change.notify_all()
        body = json.dumps({"keys": self.keys}).encode() if self.body is None else self.body
        await self.answering.wait()
        head = [f"HTTP/1.1 {self.status}", f"Content-Length: {len(body)}", "Connection: close", *self.headers]
        writer.write("\r\n".join([*head, "", ""]).encode())
        for start in range(0, len(body), self.chunk):
            writer.write(body[start : start + self.chunk])
            await writer.drain()
            if self.chunk < len(body):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def publishing(*keys: dict[str, Any]) -> AsyncGenerator[Publisher]:
    publisher = Publisher()
    publisher.keys = list(keys)
    await publisher.open()
    try:
        yield publisher
    finally:
        await publisher.close()


def jwk(private: Any, algorithm: str, **says: object) -> dict[str, Any]:
    """The public half as it is published; `says` adds to it, replaces, or with `ABSENT` leaves out."""
    made: dict[str, Any] = _ALGORITHMS[algorithm].to_jwk(private.public_key(), as_dict=True)
    return without_absent({**made, "kid": "1", "use": "sig", "alg": algorithm, **says})
