"""Keys that were made here, of which only hashes are stored."""

from __future__ import annotations

from agentops.plugins.auth.hashed_keys.authenticator import HashedKeys, HashedKeysSettings

__all__ = ["HashedKeys", "HashedKeysSettings"]
