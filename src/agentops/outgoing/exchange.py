"""One request, and what comes back on it.

The parser calls it, and whoever asked reads from it. Everything about an answer that is not as HTTP/1.1 says is
refused, and the connection with it: what follows could be read in two ways.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import httptools

from agentops.core.ports.model import ModelLost

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_MOST: Final = 64 * 1024
"""Of a head, and of everything else that is no body and comes without any."""
WAITING_MOST: Final = 256 * 1024
"""Of a body that nobody has read yet; then the provider has to wait."""
REST_SECONDS: Final = 1.0
"""How long the end of an answer may take of which everything is known; then its connection is given up."""

_FINAL: Final = 200
_SWITCHED: Final = 101
_WITHOUT_BODY: Final = frozenset({204, 304})


class Limits(NamedTuple):
    """In seconds; see `ProviderSettings`."""

    first_byte: float
    idle: float
    until: float
    """When the whole call must be over, by the clock of the loop."""


class Line(Protocol):
    """What an exchange needs of its connection."""

    def abort(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def has_unsent(self) -> bool: ...


class Exchange:
    """`status` and `headers` are there when the head is; the names of headers are in lower case."""

    def __init__(self, line: Line, limits: Limits, over: Callable[[bool], None]) -> None:
        """`over` is called once, with whether the connection may serve another request."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.was_unheard = False
        """Whether the connection was closed before anything of an answer came."""
        self._line = line
        self._limits = limits
        self._over: Callable[[bool], None] | None = over
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._fruitless = 0
        self._head_bytes = 0
        self._has_begun = False
        self._is_interim = False
        self._is_complete = False
        self._may_stay = True
        self._ends_with_connection = False
        self._is_left = False
        self._is_clock_late = False
        self._wrong = ""
        self._error: ModelLost | None = None
        self._reader: asyncio.Future[None] | None = None
        self._heard = self._loop.time()
        self._timer = self._loop.call_at(min(self._heard + limits.first_byte, limits.until), self._look_at_clock)

    # What whoever asked calls

    async def head(self) -> None:
        """Wait for it."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._more()

    async def read(self) -> bytes:
        """Return what has come of the body, at least something; nothing at its end."""
        while not self._body:
            if self._error is not None:
                raise self._error
            if self._is_complete:
                return b""
            await self._more()
        some = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._waiting = 0
        if self._paused:
            self._paused = False
            self._heard = self._loop.time()
            self._line.resume()
        return some

    async def whole(self, most: int) -> bytes:
        """Return all of the body."""
        parts: list[bytes] = []
        size = 0
        while some := await self.read():
            parts.append(some)
            size += len(some)
            if size > most:
                raise ModelLost(f"the provider's answer is longer than {most} bytes")
        return b"".join(parts)

    def leave(self) -> None:
        """Nothing more is wanted. Unless the answer is whole, the provider is cut off at once."""
        if not self._is_left:
            self._end()

    def leave_at_end(self) -> None:
        """Everything was said; only the end of the message may still be under way, and it gets a moment to come."""
        if self._is_complete or self._error is not None or self._body:
            self.leave()
            return
        self._is_left = True
        self._timer.cancel()
        self._timer = self._loop.call_later(REST_SECONDS, self._end)

    # What the connection calls

    def feed(self, data: bytes) -> None:
        self._has_begun = True
        self._heard = self._loop.time()
        self._fruitless += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._wrong = self._wrong or "it is not sound HTTP"
        if self._fruitless > HEAD_MOST:
            self._wrong = self._wrong or f"there are more than {HEAD_MOST} bytes in it that say nothing"
        if self._is_complete:
            self._may_stay = self._may_stay and not self._wrong
            self._timer.cancel()
        elif self._wrong:
            self._give_up(ModelLost(f"the provider's answer was refused: {self._wrong}"))
            return
        elif self._is_clock_late:
            self._is_clock_late = False
            self._timer.cancel()
            self._look_at_clock()
        if self._is_left and (self._is_complete or self._body):
            self._end()
        self._wake()

    def lost(self, error: Exception | None) -> None:
        """The connection is no more."""
        self._may_stay = False
        if self._is_complete or self._error is not None:
            return
        if self._ends_with_connection and error is None:
            self._is_complete = True
            self._timer.cancel()
            self._wake()
            return
        self.was_unheard = not self._has_begun
        when = "in the middle of" if self._has_begun else "before"
        self._give_up(ModelLost(f"the provider closed the connection {when} its answer"))

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._wrong = "something came behind it"

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_complete or self.status:
            return  # a trailer, or of what came behind
        self._head_bytes += len(name) + len(value) + 4
        self.headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        if self._is_complete:
            return
        status = self._parser.get_status_code()
        if self._head_bytes > HEAD_MOST:
            self._wrong = f"its head is longer than {HEAD_MOST} bytes"
        elif _SWITCHED < status < _FINAL or status == _SWITCHED - 1:
            self._is_interim = True
            self.headers.clear()
        elif status < _FINAL:
            self._wrong = f"its status is {status}"
        else:
            self._take_head(status)

    def on_body(self, body: bytes) -> None:
        if self._is_complete:
            return
        self._fruitless = 0
        self._body.append(body)
        self._waiting += len(body)
        if self._waiting > WAITING_MOST and not self._paused:
            self._paused = True
            self._line.pause()

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
        elif self.status:
            self._is_complete = True
            self._may_stay = self._may_stay and self._parser.should_keep_alive()

    def _take_head(self, status: int) -> None:
        coding = self.headers.get("transfer-encoding")
        version = self._parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            self._wrong = "it is of another version than HTTP/1.1"
        elif coding is not None and (coding.lower() != "chunked" or version == "1.0"):
            self._wrong = "it is transferred in a way that was not asked for"
        elif self.headers.get("content-encoding", "identity").lower() != "identity":
            self._wrong = "it is compressed, which was not asked for"
        else:
            self.status = status
            self._is_clock_late = self._limits.idle < self._limits.first_byte
            has_length = coding is not None or "content-length" in self.headers
            self._ends_with_connection = not has_length and status not in _WITHOUT_BODY

    # Inside

    async def _more(self) -> None:
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _look_at_clock(self) -> None:
        """One timer for all three limits, moved on only when it is due: data comes far more often than that."""
        now = self._loop.time()
        silence = self._limits.idle if self.status else self._limits.first_byte
        due = now + silence if self._paused else self._heard + silence
        if now >= self._limits.until:
            self._give_up(ModelLost("the provider took longer than a call may take"))
        elif now >= due:
            what = "was silent" if self.status else "did not begin to answer"
            self._give_up(ModelLost(f"the provider {what} for {silence:g} s"))
        else:
            self._timer = self._loop.call_at(min(due, self._limits.until), self._look_at_clock)

    def _end(self) -> None:
        if self._is_complete or self._error is not None:
            self._finish()
        else:
            self._give_up(ModelLost("the call was ended"))

    def _give_up(self, error: ModelLost) -> None:
        self._error = error
        self._may_stay = False
        self._finish()
        self._wake()

    def _finish(self) -> None:
        self._timer.cancel()
        over, self._over = self._over, None
        if over is not None:
            may_stay = self._may_stay and not self._line.has_unsent()
            if not may_stay:
                self._line.abort()
            over(may_stay)
            del self._parser  # it knows this object, and would keep it until a collection
