"""The anthropic plugin keeps the contract of models."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from agentops.plugins.models.anthropic import Anthropic
from agentops.testing.model import ModelContract
from agentops.testing.provider import FakeProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class TestAnthropic(ModelContract):
    @pytest_asyncio.fixture
    async def provider(self) -> AsyncIterator[FakeProvider]:
        async with FakeProvider() as provider:
            yield provider

    @pytest.fixture
    def model(self, provider: FakeProvider) -> Anthropic:
        return Anthropic(base_url=provider.url, key="sk-ant-ours-2f7b1c9e5d")

    @pytest.fixture
    def under_way(self, provider: FakeProvider) -> Callable[[], int]:
        return lambda: provider.under_way

    @pytest.fixture
    def unreachable(self) -> Anthropic:
        """Nobody listens there."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return Anthropic(base_url=f"http://127.0.0.1:{free.getsockname()[1]}")
