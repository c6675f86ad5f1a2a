"""A fake provider for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from agentops.testing.provider import FakeProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider
