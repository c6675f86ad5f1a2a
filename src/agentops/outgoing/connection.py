"""A connection to a provider: one exchange at a time, and nothing that nobody asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from agentops.outgoing.exchange import Exchange, Limits

if TYPE_CHECKING:
    from collections.abc import Callable


class Connection(asyncio.Protocol):
    """Is `alive` until either side ends it."""

    def __init__(self) -> None:
        self.alive = False
        self.used = False
        """Whether it has served a request before, and so may have been closed before this one reached it."""
        self.rests_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None

    def ask(self, request: list[bytes], limits: Limits, over: Callable[[], None]) -> Exchange:
        """Send it; `over` is called when the answer is over, and the connection then is `alive` or not."""

        def ended(may_stay: bool) -> None:
            self._exchange = None
            self.used = True
            self.alive = self.alive and may_stay
            over()

        exchange = self._exchange = Exchange(self, limits, ended)
        if self._transport is not None:
            self._transport.writelines(request)
        return exchange

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.alive = True

    @override
    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.abort()
        else:
            self._exchange.feed(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._transport = None
        if self._exchange is not None:
            self._exchange.lost(exc)

    def abort(self) -> None:
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def has_unsent(self) -> bool:
        return self._transport is None or self._transport.get_write_buffer_size() > 0
