"""Copies the database while it is written to, as it stands at one moment."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from agentops.core.errors import StartError
from agentops.plugins.storage.sqlite._connections import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGES_AT_ONCE: Final = 1024


def backup(source: sqlite3.Connection, target: Path, progress: Callable[[int, int], None]) -> None:
    """Write to a file beside the target first, so that a copy under the target's name is always whole."""
    if target.exists():
        raise StartError(f"{str(target)!r} exists already: name a new file for the backup")
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        _copy(source, partial, progress)
        partial.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"cannot write the backup {str(target)!r}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, target: Path, progress: Callable[[int, int], None]) -> None:
    target.touch(mode=0o600)  # hashes of passwords and secrets that sign are in it
    copy = connect(target, "rwc")
    # A read transaction held throughout keeps writers from starting the copy over with each commit.
    source.execute("BEGIN")
    try:
        source.execute("SELECT 1 FROM sqlite_schema").fetchone()
        source.backup(
            copy, pages=PAGES_AT_ONCE, progress=lambda _, remaining, total: progress(total - remaining, total)
        )
    finally:
        source.execute("COMMIT")
        copy.close()
