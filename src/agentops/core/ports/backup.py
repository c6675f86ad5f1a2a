"""Backup: what a storage can do that copies itself; without it, the database's own tools do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Backup(Protocol):
    """An ability of a started storage; ask with `isinstance(storage, Backup)`."""

    async def backup(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """Write a consistent copy to a new file while serving; `progress` hears what is done and how much there is."""
