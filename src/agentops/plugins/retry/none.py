"""No second try."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agentops.core.plugin import NoSettings
from agentops.core.ports.retry import Retry, T
from agentops.core.signals import Signals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from agentops.core.rungs import Rungs


class NoRetry(Retry[NoSettings]):
    """Hands on whatever the first attempt brings."""

    def __init__(self, settings: NoSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self._signals = Signals()

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._signals = rungs.signals
        yield

    async def call(
        self,
        operation: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        target: str = "",
        seconds: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> T:
        with self._signals.span(operation, "client", **{"operation": operation, **(labels or {})}):
            return await attempt()
