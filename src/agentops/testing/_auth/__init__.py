"""The parts of the contract of authenticators, by what they are about."""

from __future__ import annotations

import pytest

_PARTS = ("base", "hostile", "lasting", "secrecy", "verdicts")

pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))
