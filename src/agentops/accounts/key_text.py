"""The text of a key: a prefix, and 64 hex digits of which the last eight are a checksum.

A mistyped or made-up key is known by its checksum, with no query and no hash.
"""

from __future__ import annotations

import re
import secrets
from typing import Final, NamedTuple
from zlib import crc32

from agentops.core.secret import MASK

DIGITS: Final = 64
LOOKUP_DIGITS: Final = 16
CHECKSUM_DIGITS: Final = 8
SHOWN: Final = 7
"""How much of a key is shown later, so that its owner knows which it is."""

PREFIX: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,30}_(?!\n)$"
"""A line break would be let through by `$` alone, and no header carries one."""

_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")


class KeyText(NamedTuple):
    """A well-formed key: the part by which its row is found, and the secret that proves it."""

    lookup: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyText(lookup={self.lookup!r}, secret={MASK})"


def make_key(prefix: str) -> str:
    digits = secrets.token_hex((DIGITS - CHECKSUM_DIGITS) // 2)
    return f"{prefix}{digits}{_checksum(prefix + digits)}"


def parse_key(text: str, prefix: str) -> KeyText | None:
    """Nothing for what cannot be a key of this prefix."""
    digits = text.removeprefix(prefix)
    if len(text) != len(prefix) + DIGITS or len(digits) != DIGITS or _HEX.match(digits) is None:
        return None
    body, checksum = text[:-CHECKSUM_DIGITS], text[-CHECKSUM_DIGITS:]
    if _checksum(body) != checksum:
        return None
    return KeyText(digits[:LOOKUP_DIGITS], digits[LOOKUP_DIGITS:-CHECKSUM_DIGITS])


def _checksum(body: str) -> str:
    return f"{crc32(body.encode()):08x}"
