"""A target of webhooks: a real server that keeps what it is sent, and answers as a test wants."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded

    def is_signed_with(self, secret: str) -> bool:
        """Checked as a receiver would, by the text of the scheme."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.{self.body.decode()}"
        wanted = base64.b64encode(hmac.new(key, content.encode(), hashlib.sha256).digest()).decode()
        return f"v1,{wanted}" in self.headers["webhook-signature"].split(" ")


class Receiver:
    """`answers` are used up one by one; then it is `200 OK`."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[bytes] = []
        self.holds = asyncio.Event()
        self.holds.set()
        """Cleared, no answer is given until it is set."""
        self.port = 0
        self._more = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def answer(self, *statuses: int, head: str = "") -> None:
        self.answers += [f"HTTP/1.1 {status} So\r\n{head}content-length: 0\r\n\r\n".encode() for status in statuses]

    async def has(self, count: int) -> list[Received]:
        """Return what came once it is so much."""
        async with asyncio.timeout(20), self._more:
            await self._more.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def told(self, runs: int) -> None:
        """Return once so many different runs were told of."""
        async with asyncio.timeout(20), self._more:
            await self._more.wait_for(lambda: len({got.json["data"]["run"] for got in self.received}) >= runs)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = [line.split(": ", 1) for line in head[1:-2]]
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers["content-length"]))
            async with self._more:
                self.received.append(Received(head[0].split(" ")[1], headers, body))
                self._more.notify_all()
            await self.holds.wait()
            writer.write(self.answers.pop(0) if self.answers else b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.holds.set()
        server.close()
        await server.wait_closed()
