"""Retry: what to do when a call that leaves the server fails."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, TypeVar

from agentops.core.plugin import Kind, Plugin, S

T = TypeVar("T")


class Retry(Plugin[S]):
    """Decides whether and when an operation is tried again."""

    kind: ClassVar[Kind] = "retry"

    @abstractmethod
    async def call(
        self,
        operation: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        target: str = "",
        seconds: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> T:
        """Run `attempt` until it succeeds or there is no point in going on; then its last error is raised.

        `target` is whom the operation asks: failures of one target count together. No attempt begins later than
        `seconds` from now, for nobody would wait for it. `labels` go with what is told of it.
        """
