"""The bus over Redis keeps the contract of buses."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from agentops import Secret
from agentops.plugins.bus.redis import Redis
from agentops.testing.bus import BusContract

if TYPE_CHECKING:
    from collections.abc import Callable

_numbers = count()


class TestRedis(BusContract):
    @pytest.fixture
    def make_bus(self, redis_url: str) -> Callable[[], Redis]:
        channel = f"test-{next(_numbers)}"
        return lambda: Redis(url=Secret(redis_url), channel=channel)
