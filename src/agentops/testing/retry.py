"""The contract of a retry, as tests: every line that `core/ports/retry.py` promises.

    class TestMine(RetryContract):
        @pytest.fixture
        def retry(self):
            return Mine(attempts=3, wait_seconds=0.01)

Whether and when there is a second attempt is its own to say; let it wait little here.
The tests are coroutines: run them with pytest-asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeAlias

import pytest
import pytest_asyncio

from agentops.core.errors import Unavailable
from agentops.core.ports.retry import Retry
from agentops.core.rungs import Rungs

AnyRetry: TypeAlias = Retry[Any]

MORE_THAN_ANYBODY_TRIES: Final = 1_000

VALUES: Final[dict[str, object]] = {
    "text": "done",
    "none": None,
    "zero": 0,
    "false": False,
    "empty": (),
    "an-exception-returned": ValueError("a result"),
}

ERRORS: Final[dict[str, Callable[[], Exception]]] = {
    "connection": lambda: ConnectionResetError("reset"),
    "timeout": TimeoutError,
    "os": lambda: OSError(28, "No space left on device"),
    "value": lambda: ValueError("no point in trying again"),
    "refusal": lambda: Unavailable("later", retry_after=0),
    "group": lambda: ExceptionGroup("several", [ValueError("one"), OSError("two")]),
}

OPERATIONS: Final = {"plain": "gateway.complete", "empty": "", "odd": "żółw\n\0%s{}"}


class Stop(BaseException):
    """What is no `Exception` is no failure of an attempt."""


class Attempts:
    """An operation that fails some times, each time with an error of its own, and then returns."""

    def __init__(self, fails: int, make_error: Callable[[], BaseException] = ConnectionError) -> None:
        self.made = 0
        self.errors: list[BaseException] = []
        self._fails = fails
        self._make_error = make_error

    async def __call__(self) -> int:
        await asyncio.sleep(0)
        self.made += 1
        if self.made <= self._fails:
            self.errors.append(self._make_error())
            raise self.errors[-1]
        return self.made


class RetryContract:
    """Subclass, give `retry`, run pytest."""

    @pytest.fixture
    def retry(self) -> AnyRetry:
        raise NotImplementedError("give a fixture `retry`: one that has not started, and waits little")

    @pytest_asyncio.fixture
    async def started(self, retry: AnyRetry) -> AsyncIterator[AnyRetry]:
        async with retry.life(Rungs()):
            yield retry

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    async def test_a_success_is_returned_as_it_is(self, started: AnyRetry, value: object) -> None:
        made: list[object] = []

        async def succeed() -> object:
            made.append(value)
            return value

        assert await started.call("contract", succeed) is value
        assert len(made) == 1

    @pytest.mark.parametrize("make_error", ERRORS.values(), ids=ERRORS)
    async def test_the_last_error_is_raised_unchanged(
        self, started: AnyRetry, make_error: Callable[[], Exception]
    ) -> None:
        attempts = Attempts(MORE_THAN_ANYBODY_TRIES, make_error)
        with pytest.raises(type(make_error())) as raised:
            await started.call("contract", attempts)
        assert attempts.made >= 1
        assert raised.value is attempts.errors[-1]
        assert raised.value.__cause__ is None

    @pytest.mark.parametrize("fails", [1, 2, 3])
    async def test_the_outcome_is_that_of_the_last_attempt(self, started: AnyRetry, fails: int) -> None:
        attempts = Attempts(fails)
        (outcome,) = await asyncio.gather(started.call("contract", attempts), return_exceptions=True)
        succeeded = attempts.made == fails + 1
        assert outcome is (attempts.made if succeeded else attempts.errors[-1])
        assert 1 <= attempts.made <= fails + 1

    @pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
    async def test_an_operation_may_have_any_name(self, started: AnyRetry, operation: str) -> None:
        assert await started.call(operation, Attempts(0)) == 1

    async def test_cancelling_an_attempt_ends_it_at_once(self, started: AnyRetry) -> None:
        inside, cancelled, made = asyncio.Event(), 0, 0

        async def wait_the_first_time() -> None:
            nonlocal cancelled, made
            made += 1
            inside.set()
            try:
                if made == 1:
                    await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
                raise

        calling = asyncio.create_task(started.call("contract", wait_the_first_time))
        await inside.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert (cancelled, made) == (1, 1)

    async def test_after_a_cancellation_nothing_is_tried_again(self, started: AnyRetry) -> None:
        made = 0

        async def fail_the_first_time() -> None:
            nonlocal made
            await asyncio.sleep(0)
            made += 1
            if made == 1:
                calling.cancel()
                raise ConnectionError

        calling = asyncio.create_task(started.call("contract", fail_the_first_time))
        with pytest.raises((asyncio.CancelledError, ConnectionError)):
            await calling
        assert made == 1

    @pytest.mark.parametrize("kind", [Stop, asyncio.CancelledError], ids=["stop", "cancelled"])
    async def test_what_is_no_exception_passes_at_once(
        self, started: AnyRetry, kind: Callable[[], BaseException]
    ) -> None:
        attempts = Attempts(MORE_THAN_ANYBODY_TRIES, kind)
        with pytest.raises((Stop, asyncio.CancelledError)) as raised:
            await started.call("contract", attempts)
        assert [raised.value] == attempts.errors

    async def test_many_at_once_are_not_mixed_up(self, started: AnyRetry) -> None:
        calls = [Attempts(number % 2) for number in range(50)]
        outcomes = await asyncio.gather(*(started.call("contract", each) for each in calls), return_exceptions=True)
        for attempts, outcome in zip(calls, outcomes, strict=True):
            own = attempts.errors if isinstance(outcome, BaseException) else [attempts.made]
            assert outcome in own

    async def test_it_may_stop_and_start_again(self, retry: AnyRetry) -> None:
        for _ in range(3):
            async with retry.life(Rungs()):
                assert await retry.call("contract", Attempts(0)) == 1
