"""No second try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops.core.plugin import NoSettings
from agentops.core.ports.retry import Retry, T

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


class NoRetry(Retry[NoSettings]):
    """Hands on whatever the first attempt brings."""

    async def call(
        self,
        operation: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        target: str = "",
        seconds: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> T:
        return await attempt()
