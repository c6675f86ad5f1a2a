"""One server of the deployment `a2a` for all tests that name users of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.wire.a2a.people import A2a, started
from tests.wire.fixtures import storage_of_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOBODY_IS_COUNTED_OUT = "features.users.address_failures=100000"
"""All tests fail from the same address."""

NOBODY_LOOKS_AGAIN = "events.poll_seconds=600"
"""So that only being told of a change can end a stream in a test's time."""


@pytest.fixture(scope="session")
def a2a_storage(
    engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    return storage_of_session("a2a", engine, request, tmp_path_factory)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def a2a(a2a_storage: dict[str, str]) -> AsyncIterator[A2a]:
    async with started(a2a_storage, NOBODY_IS_COUNTED_OUT, NOBODY_LOOKS_AGAIN) as it:
        yield it
