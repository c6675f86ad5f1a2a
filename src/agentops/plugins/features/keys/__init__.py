"""Keys over HTTP: an administrator's for everybody, and everybody's own."""

from __future__ import annotations

from agentops.plugins.features.keys.routes import Keys, KeysSettings

__all__ = ["Keys", "KeysSettings"]
