"""The openai plugin keeps the contract of models."""

from __future__ import annotations

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

    @pytest_asyncio.fixture
    async def unreachable(self) -> OpenAI:
        """Somebody was there, and is no longer."""
        async with FakeProvider() as gone:
            url = gone.openai_url
        return OpenAI(base_url=url)


class TestOnlyChat(TestOpenAI):
    @pytest.fixture
    def model(self, provider: FakeProvider) -> OpenAI:
        return OpenAI(base_url=provider.openai_url, speaks=["chat"])
