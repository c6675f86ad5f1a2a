"""One POST to one address: bounded in time and size, and no redirect is followed."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final

import httptools

from agentops._version import __version__
from agentops.outgoing.trust import trusting_authorities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.outgoing.place import Place
    from agentops.plugins.features.webhooks.targets import Target

MOST_SECONDS: Final = 10.0
MOST_BYTES: Final = 64 * 1024
"""Of an answer's head; its body is not read."""
_FINAL: Final = 200
_SWITCHED: Final = 101


class NotSent(Exception):
    """There was no answer; the text says why, and quotes nobody."""


async def post(target: Target, headers: Mapping[str, str], body: bytes) -> int:
    """Return the status of the answer."""
    try:
        async with asyncio.timeout(MOST_SECONDS):
            return await _exchange(target, headers, body)
    except TimeoutError:
        raise NotSent(f"no answer within {MOST_SECONDS:g} s") from None
    except ssl.SSLError as error:
        raise NotSent(f"TLS failed: {error.reason or type(error).__name__}") from None
    except OSError as error:
        raise NotSent(error.strerror or type(error).__name__) from None


async def _exchange(target: Target, headers: Mapping[str, str], body: bytes) -> int:
    address, place = target
    tls = trusting_authorities() if place.tls else None
    reader, writer = await asyncio.open_connection(
        address, place.port, ssl=tls, server_hostname=place.host if tls else None
    )
    try:
        writer.write(_head(place, headers, len(body)) + body)
        await writer.drain()
        return await _status(reader)
    finally:
        writer.transport.abort()


def _head(place: Place, headers: Mapping[str, str], length: int) -> bytes:
    said = {
        "Host": place.authority,
        "User-Agent": f"agentops/{__version__}",
        "Content-Type": "application/json",
        "Content-Length": str(length),
        "Connection": "close",
        **headers,
    }
    lines = [f"POST {place.path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


async def _status(reader: asyncio.StreamReader) -> int:
    answer = _Answer()
    read = 0
    while not answer.status:
        some = await reader.read(MOST_BYTES)
        read += len(some)
        if not some:
            raise NotSent("the connection ended before the answer did")
        if read > MOST_BYTES:
            raise NotSent(f"the head of the answer is longer than {MOST_BYTES} bytes")
        try:
            answer.parser.feed_data(some)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not answer.status:
                raise NotSent("the answer is not HTTP") from None
    return answer.status


class _Answer:
    """Has a status once a head is whole that is the last one of HTTP: `100 Continue` and its like are not."""

    def __init__(self) -> None:
        self.status = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= _FINAL or status == _SWITCHED:
            self.status = status
