"""Asks a lane of a running server, over plain HTTP, about one run."""

from __future__ import annotations

import http.client
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from agentops.cli.failures import Failure
from agentops.cli.reaching import connection_to, reason
from agentops.cli.tailing.lines import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONNECT_SECONDS: Final = 10
SILENCE_SECONDS: Final = 60
"""Heartbeats come every 15 s unless a server is told otherwise; one that says nothing for so long is gone."""
PAGE: Final = 1000

_events: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Lost(Exception):
    """The server cannot be reached, or cannot answer now; it may be worth trying again."""


class Lane(NamedTuple):
    """Where it is, and the key to it."""

    url: str
    key: str | None

    def has_run(self, run: str) -> bool:
        """Whether there is such a run; raises when there is no such lane, or the key is not good."""
        try:
            self._read(f"/runs/{quote(run, safe='')}")
        except _NotFoundError:
            self._read("/runs?limit=1")
            return False
        return True

    def pages(self, run: str, after: str) -> Iterator[list[bytes]]:
        """What is stored behind an id, page by page, each event as its JSON."""
        while True:
            body = self._read(f"/runs/{quote(run, safe='')}/events?after={quote(after)}&limit={PAGE}")
            try:
                events = [bytes(raw) for raw in _events.decode(body)]
                if not events:
                    return
                after = json.loads(events[-1])["id"]
            except (msgspec.DecodeError, ValueError, KeyError, TypeError):
                raise self._stranger() from None
            yield events

    def stream(self, run: str, after: str) -> Iterator[bytes]:
        """Pieces of the stream of server-sent events behind an id, until the connection ends."""
        path, headers = f"/runs/{quote(run, safe='')}/stream", {"Last-Event-ID": after, "Accept": "text/event-stream"}
        connection, answer = self._ask(path, headers)
        try:
            if not (answer.getheader("Content-Type") or "").startswith("text/event-stream"):
                raise self._stranger()
            yield b""
            while piece := answer.read1(65536):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise Lost(reason(error)) from error
        finally:
            connection.close()

    def _read(self, path: str) -> bytes:
        connection, answer = self._ask(path, {})
        try:
            return answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Lost(reason(error)) from error
        finally:
            connection.close()

    def _ask(
        self, path: str, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = connection_to(self.url, CONNECT_SECONDS)
        try:
            connection.connect()
            connection.sock.settimeout(SILENCE_SECONDS)
            key = {"x-api-key": self.key, "authorization": f"Bearer {self.key}"} if self.key else {}
            connection.request("GET", urlsplit(self.url).path.rstrip("/") + path, headers={**headers, **key})
            answer = self._accepted(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Lost(reason(error)) from error
        except BaseException:
            connection.close()
            raise
        return connection, answer

    def _accepted(self, answer: http.client.HTTPResponse) -> http.client.HTTPResponse:
        status = answer.status
        if status == HTTPStatus.OK:
            return answer
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            told = "refused the key" if self.key else "asks for a key: set AGENTOPS_API_KEY, or give --key"
            raise Failure(f"{self.url} {told} ({status})")
        if status == HTTPStatus.NOT_FOUND:
            raise _NotFoundError(f"there is no lane with runs at {self.url}: give the address of one with --url")
        said = printable(answer.read(500).decode("utf-8", "replace")).strip()
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Lost(f"it answered {status} {said}".rstrip())
        raise Failure(f"{self.url} answered {status} {said}".rstrip())

    def _stranger(self) -> Failure:
        return Failure(f"what answers at {self.url} is no lane with runs: give the address of one with --url")


class _NotFoundError(Failure):
    """What stands unless whoever asked knows better what was not found."""
