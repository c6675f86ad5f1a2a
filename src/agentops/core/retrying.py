"""Calls that leave the server, as anybody writes them: by a decorator, in a block, or as a stream."""

from __future__ import annotations

import time
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
    from types import TracebackType

    from agentops.core.ports.retry import Retry

P = ParamSpec("P")
T = TypeVar("T")


class Retrying:
    """One operation, tried as the deployment's retry says; without one, once.

    async with kit.retry("draft", target="openai", seconds=20) as attempt:
        answer = await attempt(lambda: client.complete(prompt))

    @kit.retry("draft")
    async def complete(prompt: str) -> str: ...

    async for piece in kit.retry("draft").stream(lambda: client.stream(prompt)):
        ...
    """

    def __init__(
        self, retry: Retry | None, operation: str, target: str, seconds: float | None, labels: Mapping[str, str]
    ) -> None:
        self._retry = retry
        self._operation = operation
        self._target = target
        self._seconds = seconds
        self._labels = labels

    async def __aenter__(self) -> Attempt:
        """What is called in the block shares its seconds, which count from here."""
        return Attempt(self, None if self._seconds is None else time.monotonic() + self._seconds)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def __call__(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @wraps(function)
        async def tried(*args: P.args, **kwargs: P.kwargs) -> T:
            return await self.call(lambda: function(*args, **kwargs), self._seconds)

        return tried

    async def stream(self, begin: Callable[[], AsyncIterator[T]]) -> AsyncGenerator[T]:
        """Begin again until there is a first piece; what fails after it was handed on is not for us to repeat."""

        async def first() -> tuple[AsyncIterator[T], list[T]]:
            pieces = begin()
            async for piece in pieces:
                return pieces, [piece]
            return pieces, []

        pieces, begun = await self.call(first, self._seconds)
        try:
            for piece in begun:
                yield piece
                async for later in pieces:
                    yield later
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    async def call(self, attempt: Callable[[], Awaitable[T]], seconds: float | None) -> T:
        if self._retry is None:
            return await attempt()
        return await self._retry.call(
            self._operation, attempt, target=self._target, seconds=seconds, labels=self._labels
        )


class Attempt:
    """Call it with a function that makes the call; more than once, if the block asks for more than one thing."""

    def __init__(self, retrying: Retrying, until: float | None) -> None:
        self._retrying = retrying
        self._until = until

    async def __call__(self, attempt: Callable[[], Awaitable[T]]) -> T:
        seconds = None if self._until is None else max(0.0, self._until - time.monotonic())
        return await self._retrying.call(attempt, seconds)
