"""When each key was last used: written at most once a minute, and never while a request waits for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from agentops.core.errors import Unavailable
from agentops.core.forever import in_background
from agentops.core.records import now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agentops.core.ports.storage import Storage
    from agentops.core.signals import Signals

NOTED_EVERY_MS: Final = 60_000
STOP_SECONDS: Final = 1.0
"""What the last write may take when the server stops: it is worth no more than that."""

_NOTE: Final = text("""
    UPDATE keys SET last_used_at = :at WHERE id = :id AND (last_used_at IS NULL OR last_used_at <= :before)
""")


class Uses:
    """Gathers what is used while a write is under way; the next one has all of it."""

    def __init__(self, storage: Storage[Any], signals: Signals) -> None:
        self._storage = storage
        self._signals = signals
        self._unwritten: dict[str, int] = {}
        self._writing: dict[str, int] = {}
        self._noted = asyncio.Event()

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[None]:
        try:
            async with in_background(self._signals, {"keys.used": self._step}):
                yield
        finally:
            await self._write_last()

    def note(self, key_id: str, last: int | None) -> None:
        """Remember that this key is used now, unless what its row says is new enough."""
        now = now_ms()
        if (last is None or last <= now - NOTED_EVERY_MS) and key_id not in self._writing:
            self._unwritten.setdefault(key_id, now)
            self._noted.set()

    async def _step(self) -> None:
        await self._noted.wait()
        self._noted.clear()
        await self._write()

    async def _write(self) -> None:
        """In the order of ids, for another instance may write some of the same; what could not be written is kept."""
        self._writing, self._unwritten = self._unwritten, {}
        rows = [{"id": key, "at": at, "before": at - NOTED_EVERY_MS} for key, at in sorted(self._writing.items())]
        try:
            if rows:
                async with self._storage.write() as connection:
                    await connection.execute(_NOTE, rows)
        except (Unavailable, asyncio.CancelledError):
            self._unwritten = {**self._unwritten, **self._writing}
            self._noted.set()
            raise
        finally:
            self._writing = {}

    async def _write_last(self) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._write()
        except Exception as error:  # noqa: BLE001 - no reason is worth a stop that fails
            self._signals.event("keys.used.lost", "warning", reason=type(error).__name__)
