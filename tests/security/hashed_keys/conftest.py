"""An authenticator for hashed keys on each database, and what it told and hashed."""

from __future__ import annotations

from tests.accounts.parts import cheap_hashes
from tests.security.key_making import authenticator, hashes, make_storage, storage, told

__all__ = ["authenticator", "cheap_hashes", "hashes", "make_storage", "storage", "told"]
