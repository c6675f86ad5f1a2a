"""Postgres: one truth for any number of instances."""

from __future__ import annotations

from agentops.plugins.storage.postgres.storage import Postgres, PostgresSettings

__all__ = ["Postgres", "PostgresSettings"]
