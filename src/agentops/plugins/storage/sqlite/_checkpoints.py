"""Moves what was committed from the write-ahead log into the file, beside the writer and not in its commits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agentops.core.serving import apart
from agentops.plugins.storage.sqlite._threads import Threads

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from agentops.core.signals import Signals

LOG_BYTES: Final = 16 * 1024 * 1024
COMMITS_BETWEEN_LOOKS: Final = 64


class Checkpoints:
    """Left to SQLite, every thousandth commit or so would move them all, and those who wait for it wait for that.

    A checkpoint beside a busy writer never reaches the end of the log, so the writer moves the few frames that are
    left over; only then can the log start from its beginning again instead of growing.
    """

    def __init__(
        self,
        path: Path,
        open_one: Callable[[], sqlite3.Connection],
        writing: asyncio.Lock,
        writer: Threads,
        signals: Signals,
    ) -> None:
        self._log = path.with_name(f"{path.name}-wal")
        self._beside = Threads(1, "sqlite-checkpoint", open_one)
        self._writing = writing
        self._writer = writer
        self._signals = signals
        self._commits = 0
        self._task: asyncio.Task[None] | None = None

    def committed(self) -> None:
        """Count a commit, and start a checkpoint when the log has grown long."""
        self._commits += 1
        if self._commits % COMMITS_BETWEEN_LOOKS == 0 and self._task is None and self._is_long():
            self._task = apart(self._run())

    async def close(self) -> None:
        if self._task is not None:
            await self._task
        await asyncio.to_thread(self._beside.close)

    def _is_long(self) -> bool:
        try:
            return self._log.stat().st_size >= LOG_BYTES
        except FileNotFoundError:
            return False

    async def _run(self) -> None:
        try:
            await self._beside.run(_checkpoint)
            async with self._writing:
                await self._writer.run(_checkpoint)
        except Exception as error:  # noqa: BLE001 - the log stays as it is, and the next look tries again
            self._signals.event("storage.checkpoint_failed", "warning", error=error)
        finally:
            self._task = None


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
