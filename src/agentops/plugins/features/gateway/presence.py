"""Whether whoever asked is still there: what serves them is cancelled when they leave, and when it must end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from agentops.core.http.asgi import Receive

LOOKED_AFTER_SECONDS: Final = 0.05
"""Most failures and all quick answers come sooner, and are spared a task of their own."""

Reason = Literal["left", "late", "revoked", "stopping"]


class Ended(Exception):
    """The call is over before its answer was."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Presence:
    """A block in which a call is served; `end` cancels it, and it is left with `Ended`."""

    def __init__(self, receive: Receive, seconds: float, on_close: Callable[[Presence], None]) -> None:
        self._receive = receive
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._reason: Reason | None = None
        self._look = self._loop.call_later(LOOKED_AFTER_SECONDS, self._begin_to_look)
        self._late = self._loop.call_later(seconds, self.end, "late")
        self._looking: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[object] | None = None

    def end(self, reason: Reason) -> None:
        if self._reason is None and self._serving is not None:
            self._reason = reason
            self._serving.cancel()

    def __enter__(self) -> Self:
        self._serving = asyncio.current_task()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        serving, self._serving = self._serving, None
        if self._reason is not None and serving is not None:
            serving.uncancel()
            if kind is not None and issubclass(kind, asyncio.CancelledError):
                raise Ended(self._reason) from None

    def close(self) -> None:
        """To be called at the end, whatever happened."""
        self._on_close(self)
        self._look.cancel()
        self._late.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _begin_to_look(self) -> None:
        self._looking = self._loop.create_task(self._end_when_gone())

    async def _end_when_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.end("left")
