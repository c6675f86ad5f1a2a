"""SQLite: the embedded storage, one file and nothing to install."""

from __future__ import annotations

from agentops.plugins.storage.sqlite.storage import Sqlite, SqliteSettings

__all__ = ["Sqlite", "SqliteSettings"]
