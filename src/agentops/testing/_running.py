"""A kit that runs without a server, for suites whose plugin needs what stands below it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx

from agentops.core.discovery import find
from agentops.core.kit import Kit
from agentops.core.ports.storage import Storage


class Running:
    """Started and stopped in one task, as by a server; the two halves of a fixture run in two."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._stopping.clear()
        started = asyncio.Event()
        self._task = asyncio.create_task(self._live(started))
        self._task.add_done_callback(lambda _: started.set())
        await started.wait()
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _live(self, started: asyncio.Event) -> None:
        async with self.kit.running():
            started.set()
            await self._stopping.wait()


@asynccontextmanager
async def kept_running(kit: Kit) -> AsyncGenerator[Running]:
    """Start the kit, and hand out what can stop and start it again."""
    running = Running(kit)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@asynccontextmanager
async def asking(kit: Kit, peer: str | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a running kit, called without a socket, so that the peer may have any address."""
    transport = httpx.ASGITransport(cast("Any", kit.app()), client=(peer or "127.0.0.1", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://contract.test", trust_env=False) as client:
        yield client


def storage_in(folder: Path) -> Storage:
    """The storage that is there without an extra, in a folder of the test's own."""
    return cast("Storage", find("storage", "sqlite")(path=str(folder / "contract.sqlite")))
