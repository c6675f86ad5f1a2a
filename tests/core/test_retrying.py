"""A call out by a decorator, in a block and as a stream."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.retrying import Retrying
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.retry.backoff import Backoff
from agentops.testing.retry import Attempts
from tests.core.parts import Kept

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable


@asynccontextmanager
async def retrying(seconds: float | None = None, **settings: Any) -> AsyncIterator[tuple[Retrying, Kept]]:
    retry, told, signals = Backoff(**{"base_seconds": 0.001, **settings}), Kept(), Signals()
    with signals.told_to(told):
        async with retry.life(Rungs(signals=signals)):
            yield Retrying(retry, "draft", "openai", seconds, {"adapter": "openai"}), told


async def test_a_block_tries_again_what_is_called_in_it() -> None:
    async with retrying() as (draft, told), draft as attempt:
        assert await attempt(Attempts(2)) == 3
        assert await attempt(Attempts(0)) == 1
    assert [name for name, _, _ in told.events] == ["llm.retry", "llm.retry", "llm.retry_success"]
    assert {(fields["operation"], fields["adapter"]) for _, _, fields in told.events} == {("draft", "openai")}


async def test_what_is_called_in_a_block_shares_its_seconds() -> None:
    async with retrying(0.5, base_seconds=0.1, jitter=0.0) as (draft, _), draft as attempt:
        late = Attempts(9)
        assert await attempt(Attempts(1)) == 2
        await asyncio.sleep(0.45)
        with pytest.raises(ConnectionError):
            await attempt(late)
    assert late.made == 1


async def test_a_function_tries_again_by_its_decorator() -> None:
    attempts = Attempts(2)
    async with retrying() as (draft, _):

        @draft
        async def complete(prompt: str, *, times: int) -> str:
            """Docs."""
            return f"{prompt} {times} {await attempts()}"

        assert await complete("a", times=2) == "a 2 3"
    assert complete.__doc__ == "Docs."


class Stream:
    """Begins often, breaks at a place each time, and knows whether it was closed."""

    def __init__(self, *breaks_at: int) -> None:
        self.breaks_at = list(breaks_at)
        self.begun = 0
        self.closed = 0

    async def __call__(self) -> AsyncGenerator[int]:
        self.begun += 1
        place = self.breaks_at.pop(0) if self.breaks_at else None
        try:
            for number in range(3):
                await asyncio.sleep(0)
                if number == place:
                    raise ConnectionError
                yield number
        finally:
            self.closed += 1


@pytest.mark.parametrize(
    ("stream", "pieces", "begun"),
    [(Stream(), [0, 1, 2], 1), (Stream(0, 0), [0, 1, 2], 3), (Stream(0, 2), [0, 1], 2), (Stream(1), [0], 1)],
    ids=["whole", "begun-again", "cut-later", "cut"],
)
async def test_a_stream_begins_again_only_before_its_first_piece(stream: Stream, pieces: list[int], begun: int) -> None:
    found: list[int] = []
    async with retrying() as (draft, _):
        try:
            async for piece in draft.stream(stream):
                found.append(piece)  # noqa: PERF401 - what came before it broke counts
        except ConnectionError:
            assert pieces != [0, 1, 2]
    assert (found, stream.begun, stream.closed) == (pieces, begun, begun)


async def test_a_stream_that_is_left_is_closed_at_once() -> None:
    stream = Stream()
    async with retrying() as (draft, _):
        pieces = draft.stream(stream)
        assert await anext(pieces) == 0
        await pieces.aclose()
        assert stream.closed == 1


async def test_a_stream_of_nothing_is_one() -> None:
    async def nothing() -> AsyncGenerator[int]:
        for number in range(0):
            yield number

    begin: Callable[[], AsyncGenerator[int]] = nothing
    async with retrying() as (draft, _):
        assert [piece async for piece in draft.stream(begin)] == []


async def test_without_a_retry_there_is_one_attempt() -> None:
    attempts = Attempts(1)
    async with Retrying(None, "draft", "", None, {}) as attempt:
        with pytest.raises(ConnectionError):
            await attempt(attempts)
    assert attempts.made == 1
