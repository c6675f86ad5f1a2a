"""The parts of the storage contract, by what they are about."""

from __future__ import annotations

import pytest

_PARTS = ("appends", "base", "concurrency", "feed", "pages", "retention", "runs", "statements", "transactions")

pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))
