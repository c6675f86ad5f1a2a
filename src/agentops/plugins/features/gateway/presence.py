"""Whether whoever asked is still there: what serves them is cancelled when they leave, and when it must end."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from agentops.core.http.asgi import Receive

LONG_SECONDS: Final = 0.05

Reason = Literal["left", "late", "revoked", "stopping"]


class Ended(Exception):
    """The call is over before its answer was."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Presence:
    """Blocks in which a call is served; `end` cancels the one that is entered, or else the next, with `Ended`.

    Most calls are over before anything has to be done for it, and are spared all but one timer.
    """

    def __init__(self, receive: Receive, seconds: float, on_close: Callable[[Presence], None]) -> None:
        """Whoever asked is looked after, and the call ended after so many seconds."""
        self._receive = receive
        self._seconds = seconds
        self._on_close: list[Callable[[], object]] = [partial(on_close, self)]
        self._on_long: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(LONG_SECONDS, self._become_long)
        self._is_long = False
        self._reason: Reason | None = None
        self._looking: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[object] | None = None

    def when_long(self, do: Callable[[], None]) -> None:
        """Call this when it lasts longer than most, or at once if it already does."""
        if self._is_long:
            do()
        else:
            self._on_long = do

    def when_closed(self, do: Callable[[], object]) -> None:
        """Call this at the end too."""
        self._on_close.append(do)

    def end(self, reason: Reason) -> None:
        if self._reason is None:
            self._reason = reason
            if self._serving is not None:
                self._serving.cancel()

    def __enter__(self) -> Self:
        if self._reason is not None:
            raise Ended(self._reason)
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
        while self._on_close:
            self._on_close.pop()()
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _become_long(self) -> None:
        self._is_long = True
        self._timer = self._loop.call_later(max(0.0, self._seconds - LONG_SECONDS), self.end, "late")
        self._looking = self._loop.create_task(self._end_when_gone())
        if self._on_long is not None:
            self._on_long()

    async def _end_when_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.end("left")
