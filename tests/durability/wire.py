"""HTTP/1.1 and server-sent events over a bare socket: what a library would hide is what these tests are about."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Address = tuple[str, int]

PATIENCE: Final = 20.0
"""Seconds after which an answer that has not come is a failure, not slowness."""

CUT: Final = (ConnectionError, asyncio.IncompleteReadError)
"""What a client sees of a server that dies."""


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True)
class Frame:
    """One server-sent event, or a comment, which has only text."""

    id: str = ""
    event: str = ""
    data: str = ""
    comment: str = ""

    def json(self) -> Any:
        return msgspec.json.decode(self.data)


class Connection:
    """One connection, kept alive from request to request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: Address, *, receive_buffer: int | None = None) -> Self:
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, address)
            limit = 2**16 if receive_buffer is None else receive_buffer
            return cls(*await asyncio.open_connection(sock=sock, limit=limit))
        except BaseException:
            sock.close()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._writer.close()

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return await self._request("GET", path, b"", headers)

    async def post(self, path: str, body: object) -> Answer:
        return await self._request("POST", path, msgspec.json.encode(body), {"Content-Type": "application/json"})

    async def follow(self, path: str, after: str | None = None) -> AsyncIterator[Frame]:
        """The frames of a stream, until the server ends it; each heartbeat and greeting is a frame, too."""
        status, headers = await self.begin(path, after)
        if status != 200:
            raise Refused(await self._body(status, headers))
        async for frame in self.frames():
            yield frame

    async def frames(self) -> AsyncIterator[Frame]:
        """What follows the head of a stream."""
        text = b""
        while chunk := await self._chunk():
            *whole, text = (text + chunk).split(b"\n\n")
            for frame in whole:
                yield _frame(frame.decode())

    async def frame(self) -> Frame:
        """Read the head of a stream that was asked for, and its first frame."""
        await self._answer_head()
        return await anext(self.frames())

    async def begin(self, path: str, after: str | None = None) -> tuple[int, dict[str, str]]:
        """Ask for a stream and read the head of the answer, no more."""
        self.send(_head("GET", path, {"Last-Event-ID": after} if after is not None else {}))
        return await self._answer_head()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def stop_reading(self) -> None:
        """Leave what comes in the kernel's buffers, so that the server's writes block in the end."""
        self._transport.pause_reading()

    def read_on(self) -> None:
        self._transport.resume_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport)
        return transport

    def reset(self) -> None:
        """Leave without goodbye: a RST instead of a FIN."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def answer(self) -> Answer:
        """The whole answer to what was sent."""
        async with asyncio.timeout(PATIENCE):
            return await self._body(*await self._answer_head())

    async def _request(self, method: str, path: str, body: bytes, headers: dict[str, str] | None) -> Answer:
        async with asyncio.timeout(PATIENCE):
            self.send(_head(method, path, {**(headers or {}), "Content-Length": str(len(body))}) + body)
            status, answered = await self._answer_head()
            return await self._body(status, answered)

    async def _answer_head(self) -> tuple[int, dict[str, str]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        fields = (line.partition(":") for line in lines)
        return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in fields}

    async def _body(self, status: int, headers: dict[str, str]) -> Answer:
        length = int(headers.get("content-length", "0"))
        return Answer(status, headers, await self._reader.readexactly(length))

    async def _chunk(self) -> bytes:
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        return (await self._reader.readexactly(size + 2))[:-2]


async def stalled_reader(address: Address, path: str) -> Connection:
    """Somebody who asks for a stream from its start, and then reads nothing of it."""
    connection = await Connection.open(address, receive_buffer=4096)
    await connection.begin(path, "0")
    connection.stop_reading()
    return connection


class Refused(Exception):
    """A stream was answered with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body.decode()}")
        self.answer = answer


def _head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _frame(text: str) -> Frame:
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        fields[name or "comment"] = value.removeprefix(" ")
    return Frame(**fields)
