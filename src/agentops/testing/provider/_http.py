"""A small HTTP/1.1 server that can also break every rule of it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, cast

import httptools
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Line(asyncio.Protocol):
    """One connection of a client, one request at a time; `serve` is cancelled when the client leaves."""

    def __init__(self, serve: Callable[[Asked, Line], Awaitable[None]], opened: Callable[[Line, bool], None]) -> None:
        """`opened` is told of the line itself and whether it is open, whenever that changes."""
        self._serve = serve
        self._opened = opened
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Future[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._waiting: list[Asked] = []
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    # What a reply consists of

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in headers.items())]
        self.raw("".join([f"{line}\r\n" for line in [*lines, ""]]).encode("latin-1"))

    def chunk(self, data: bytes) -> None:
        self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    def end_of_chunks(self) -> None:
        self.raw(b"0\r\n\r\n")

    def raw(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def drained(self) -> None:
        """Let others run, and wait for a client that is slow to read."""
        await asyncio.sleep(0)
        await self._may_write.wait()

    def close(self) -> None:
        """When all was sent. In the middle of an answer this is what cuts it."""
        if self._transport is not None:
            self._transport.close()

    # What asyncio calls

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._opened(self, True)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        self._opened(self, False)

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.head(400, {"Content-Length": "0", "Connection": "close"})
            self.close()

    @override
    def pause_writing(self) -> None:
        self._may_write.clear()

    @override
    def resume_writing(self) -> None:
        self._may_write.set()

    # What the parser calls

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self.raw(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        path = self._url.decode("latin-1").partition("?")[0]
        self._waiting.append(Asked(method, path, self._headers, b"".join(self._body)))
        self._begin()
        self._next()

    def _next(self) -> None:
        if self._task is None and self._waiting:
            self._task = asyncio.ensure_future(self._serve(self._waiting.pop(0), self))
            self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Future[None]) -> None:
        self._task = None
        if not task.cancelled():
            task.result()
            self._next()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
