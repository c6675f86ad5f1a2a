"""The servers that these tests talk to."""

from __future__ import annotations

from tests.wire.fixtures import api, config, deploy, engine, fresh, run, shared, shared_storage, storage

__all__ = ["api", "config", "deploy", "engine", "fresh", "run", "shared", "shared_storage", "storage"]
