"""The contract of a limiter, as tests: every line that `core/ports/limiter.py` promises.

    class TestMine(LimiterContract):
        @pytest.fixture
        def make_limiter(self):
            return lambda: Mine(url="…")

`make_limiter` gives a function that makes limiters, not yet started, that share their counts if they span processes,
and share none with another test. The tests are coroutines: run them with pytest-asyncio.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, TypeAlias

import pytest
import pytest_asyncio

from agentops.core.ports.limiter import Limiter, Rate, Verdict
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals

AnyLimiter: TypeAlias = Limiter[Any]
MakeLimiter: TypeAlias = Callable[[], AnyLimiter]

HOUR: Final = 3600
KEYS: Final = {
    "plain": "user-1",
    "empty": "",
    "unicode": "żółw 🐢 \u2028",
    "odd": "a:b c\r\nd\0*{e}%s'\"",
    "long": "ü" * 2_000,
}


class LimiterContract:
    """Subclass, give `make_limiter`, run pytest."""

    @pytest.fixture
    def make_limiter(self) -> MakeLimiter:
        raise NotImplementedError("give a fixture `make_limiter`: a function that makes limiters")

    @pytest_asyncio.fixture
    async def limiter(self, make_limiter: MakeLimiter) -> AsyncIterator[AnyLimiter]:
        limiter = make_limiter()
        async with limiter.life(Rungs(signals=Signals())):
            yield limiter

    async def test_so_many_pass_and_no_more(self, limiter: AnyLimiter) -> None:
        verdicts = [await limiter.hit("a", [Rate(5, HOUR)]) for _ in range(8)]
        assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False] * 3
        assert [list(verdict.left) for verdict in verdicts] == [[4], [3], [2], [1], [0], [0], [0], [0]]
        for verdict in verdicts[5:]:
            assert HOUR * 0.9 < verdict.retry_after <= HOUR * 1.1
        assert verdicts[0].retry_after == 0

    async def test_so_many_pass_of_many_at_once(self, limiter: AnyLimiter) -> None:
        verdicts = await asyncio.gather(*(limiter.hit("a", [Rate(100, HOUR)]) for _ in range(300)))
        assert sum(verdict.allowed for verdict in verdicts) == 100

    async def test_keys_are_counted_apart(self, limiter: AnyLimiter) -> None:
        for key in KEYS.values():
            assert (await limiter.hit(key, [Rate(1, HOUR)])).allowed
        for key in KEYS.values():
            assert not (await limiter.hit(key, [Rate(1, HOUR)])).allowed

    async def test_it_is_counted_against_all_rates_or_none(self, limiter: AnyLimiter) -> None:
        short, long = Rate(2, 60), Rate(3, HOUR)
        verdicts = [await limiter.hit("a", [long, short]) for _ in range(5)]
        assert [verdict.allowed for verdict in verdicts] == [True, True, False, False, False]
        assert list(verdicts[-1].left) == [1, 0]
        assert (await limiter.hit("a", [long])).allowed
        assert not (await limiter.hit("a", [long])).allowed

    async def test_it_says_the_longest_wait(self, limiter: AnyLimiter) -> None:
        rates = [Rate(1, 60), Rate(1, HOUR)]
        await limiter.hit("a", rates)
        assert (await limiter.hit("a", rates)).retry_after > HOUR * 0.9

    async def test_a_cost_is_counted_whole_or_not(self, limiter: AnyLimiter) -> None:
        rates = [Rate(10, HOUR)]
        verdicts = [await limiter.hit("a", rates, cost) for cost in (6, 5, 4, 1)]
        assert [verdict.allowed for verdict in verdicts] == [True, False, True, False]
        assert not (await limiter.hit("b", rates, 11)).allowed
        assert list((await limiter.hit("b", rates, 10)).left) == [0]

    async def test_without_a_rate_all_pass(self, limiter: AnyLimiter) -> None:
        assert await limiter.hit("a", []) == Verdict(allowed=True)

    async def test_in_whichever_second_one_looks_at_there_are_never_more(self, limiter: AnyLimiter) -> None:
        """Asked without a pause over the edges of several windows; those who wait as they are told do pass."""
        amount, passed = 20, list[float]()
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            asked = time.monotonic()
            verdict = await limiter.hit("a", [Rate(amount, 1)])
            if verdict.allowed:
                passed += [asked]
            else:
                assert 0 < verdict.retry_after < 1.1
                await asyncio.sleep(min(verdict.retry_after, 0.005))
        for first, beyond in zip(passed, passed[amount:], strict=False):
            assert beyond - first > 1 - 0.02
        assert len(passed) >= 2 * amount

    async def test_who_waits_as_told_may_go_on(self, limiter: AnyLimiter) -> None:
        await limiter.hit("a", [Rate(1, 1)])
        verdict = await limiter.hit("a", [Rate(1, 1)])
        await asyncio.sleep(verdict.retry_after + 0.002)
        assert (await limiter.hit("a", [Rate(1, 1)])).allowed

    async def test_counts_are_shared_if_it_spans_processes(self, make_limiter: MakeLimiter) -> None:
        limiters = [make_limiter() for _ in range(4)]
        async with AsyncExitStack() as stack:
            for limiter in limiters:
                await stack.enter_async_context(limiter.life(Rungs(signals=Signals())))
            hits = (limiter.hit("a", [Rate(100, HOUR)]) for limiter in limiters for _ in range(100))
            passed = sum(verdict.allowed for verdict in await asyncio.gather(*hits))
        assert passed == (100 if limiters[0].spans_processes else 400)
