"""A cheap HTTP/1.1 client: one connection, one question at a time, answers read only as far as they must be."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple, cast

from bench.failed import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Address = tuple[str, int]


class Answer(NamedTuple):
    status: int
    """0 when the connection was lost before the answer was whole."""
    body: bytes


LOST = Answer(0, b"")


def get(path: str, key: str | None = None) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{_bearing(key)}\r\n".encode()


def post(path: str, body: str, key: str | None = None) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{_bearing(key)}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def _bearing(key: str | None) -> str:
    return "" if key is None else f"Authorization: Bearer {key}\r\n"


class Connection(asyncio.Protocol):
    """Kept alive; `answered` is called from the read itself, so that a loop of requests needs no task to wake."""

    def __init__(self) -> None:
        self._unread = b""
        self._answered: Callable[[Answer], None] | None = None

    def send(self, request: bytes, answered: Callable[[Answer], None]) -> None:
        self._answered = answered
        self._transport.write(request)

    async def ask(self, request: bytes) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.send(request, answer.set_result)
        return await answer

    async def ask_for(self, status: int, request: bytes) -> bytes:
        """The body of the answer, which must have this status."""
        answer = await self.ask(request)
        if answer.status != status:
            raise Failed(f"answered {answer.status} and not {status}: {answer.body[:200]!r}")
        return answer.body

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        head_end = data.find(b"\r\n\r\n")
        if head_end < 0 or len(data) < head_end + 4 + _content_length(data, head_end):
            self._unread = data
            return
        self._unread = b""
        self._finish(Answer(int(data[9:12]), data[head_end + 4 :]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(LOST)

    def _finish(self, answer: Answer) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(answer)


def _content_length(data: bytes, head_end: int) -> int:
    start = data.find(b"content-length: ", 0, head_end) + 16
    return int(data[start : data.find(b"\r", start)])


@asynccontextmanager
async def connected(count: int, *addresses: Address) -> AsyncIterator[list[Connection]]:
    """So many connections, to each of the addresses in turns."""
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(Connection, *address) for address in islice(cycle(addresses), count)]
    connections = [connection for _, connection in opened]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


async def ask_once(address: Address, request: bytes) -> bytes:
    """The body of an answer that must be 200."""
    async with connected(1, address) as (connection,):
        return await connection.ask_for(200, request)
