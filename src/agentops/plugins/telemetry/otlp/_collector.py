"""One POST to the collector, bounded in time and in what is read of the answer.

On the event loop, so that one that never answers holds no thread. Nothing but the head of an answer is read, and no
redirect is followed: it would take our headers to somebody else.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from agentops._version import __version__
from agentops.core.resolving import Resolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.core.secret import Secret

HEAD_MOST: Final = 16 * 1024
ASKED_WAIT_MOST: Final = 300.0

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r]")
_RETRY_AFTER: Final = re.compile(rb"\r\nretry-after:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)


class NotReached(Exception):
    """There was no answer; the text says why."""


class Answer(NamedTuple):
    """What the collector said of what it was sent."""

    status: int
    retry_after: float
    """Seconds that it asks to be left alone for."""


class Collector:
    """One connection for each POST: there are a few in a minute, and none is left behind."""

    def __init__(self, endpoint: str, headers: Mapping[str, Secret], seconds: float) -> None:
        parts = urlsplit(endpoint)
        self._host, self._is_secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if self._is_secure else 80)
        self._resolver = Resolver(self._host, port, socket.SOCK_STREAM)
        self._netloc, self._path = parts.netloc, parts.path.rstrip("/")
        self._headers = headers
        self._seconds = seconds
        self._tls: ssl.SSLContext | None = None

    async def post(self, path: str, body: bytes) -> Answer:
        try:
            async with asyncio.timeout(self._seconds):
                return _answer(await self._head_of_answer(path, body))
        except TimeoutError:
            raise NotReached(f"it did not answer within {self._seconds:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise NotReached(f"its certificate is not to be trusted: {error.verify_message}") from error
        except asyncio.IncompleteReadError as error:
            raise NotReached("it closed the connection") from error
        except (OSError, asyncio.LimitOverrunError) as error:
            raise NotReached(type(error).__name__) from error

    async def _head_of_answer(self, path: str, body: bytes) -> bytes:
        reader, writer = await self._connected()
        try:
            writer.write(self._request(path, len(body)))
            writer.write(body)
            await writer.drain()
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.transport.abort()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the first of its addresses that answers, as `localhost` is two."""
        if self._is_secure and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)  # it reads files
        failed: OSError = ConnectionError()
        for _, address in await self._resolver.addresses():
            try:
                return await asyncio.open_connection(
                    *address[:2],
                    ssl=self._tls,
                    server_hostname=self._host if self._is_secure else None,
                    limit=HEAD_MOST,
                )
            except OSError as error:
                failed = error
        raise failed

    def _request(self, path: str, length: int) -> bytes:
        lines = [
            f"POST {self._path}{path} HTTP/1.1",
            f"Host: {self._netloc}",
            "Content-Type: application/x-protobuf",
            f"Content-Length: {length}",
            f"User-Agent: agentops/{__version__}",
            "Connection: close",
            *(f"{name}: {value.reveal()}" for name, value in self._headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _answer(head: bytes) -> Answer:
    status = _STATUS.match(head)
    if status is None:
        raise NotReached("what it answers is not HTTP")
    asked = _RETRY_AFTER.search(head)
    return Answer(int(status[1]), min(float(asked[1]), ASKED_WAIT_MOST) if asked else 0.0)
