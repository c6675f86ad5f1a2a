"""An event log on a real database that can be made to fail, and readers of its streams."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from agentops import EventSettings
from agentops.core import forever
from tests.core.eventlog.faulty import Faulty, Log, started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    Start = Callable[[EventSettings], AbstractAsyncContextManager[Log]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start an event log with these settings; several of them share one database."""
    monkeypatch.setattr(forever, "PAUSE_SECONDS", 0.01)

    @asynccontextmanager
    async def with_settings(settings: EventSettings) -> AsyncIterator[Log]:
        async with started(Faulty(path=str(tmp_path / "agentops.sqlite")), settings) as log:
            yield log

    return with_settings


@pytest.fixture
async def log(start: Start) -> AsyncIterator[Log]:
    async with start(EventSettings(poll_seconds=0.02)) as it:
        yield it
