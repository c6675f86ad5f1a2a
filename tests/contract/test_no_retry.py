"""No retry keeps the contract of retries, and never tries again."""

from __future__ import annotations

import pytest

from agentops.plugins.retry.none import NoRetry
from agentops.testing.retry import Attempts, RetryContract


class TestNoRetry(RetryContract):
    @pytest.fixture
    def retry(self) -> NoRetry:
        return NoRetry()


async def test_there_is_one_attempt_only() -> None:
    attempts = Attempts(1)
    with pytest.raises(ConnectionError):
        await NoRetry().call("once", attempts)
    assert attempts.made == 1
