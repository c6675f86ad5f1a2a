"""The openai plugin keeps the contract of models."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from agentops.plugins.models.openai import OpenAI
from agentops.testing.model import ModelContract
from agentops.testing.provider import FakeProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class TestOpenAI(ModelContract):
    @pytest_asyncio.fixture
    async def provider(self) -> AsyncIterator[FakeProvider]:
        async with FakeProvider() as provider:
            yield provider

    @pytest.fixture
    def model(self, provider: FakeProvider) -> OpenAI:
        return OpenAI(base_url=provider.openai_url, key="sk-ours-2f7b1c9e5d")

    @pytest.fixture
    def under_way(self, provider: FakeProvider) -> Callable[[], int]:
        return lambda: provider.under_way

    @pytest.fixture
    def unreachable(self) -> OpenAI:
        """At a port that nobody listens at."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port: int = taken.getsockname()[1]
        return OpenAI(base_url=f"http://127.0.0.1:{port}/v1")


class TestOnlyChat(TestOpenAI):
    @pytest.fixture
    def model(self, provider: FakeProvider) -> OpenAI:
        return OpenAI(base_url=provider.openai_url, speaks=["chat"])
