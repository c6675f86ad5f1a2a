"""Which request is being served, for every line that is told meanwhile."""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

SERVED: Final = ContextVar["dict[str, str] | None"]("agentops_request", default=None)
"""Its id, lane, method, route and caller, as far as they are known by now."""


def apart(work: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
    """Begin what serves many requests, or outlives one: it is not told of the one that happens to begin it."""
    return asyncio.create_task(work, name=name, context=Context())
