"""Money as people write it, in dollars, and as it is counted: in whole micro-dollars, of which none is ever lost."""

from __future__ import annotations

import re
from typing import Final

MICRO: Final = 1_000_000
"""So many micro-dollars are a dollar."""

_DIGITS: Final = 6
_CENTS: Final = 2
_WRITTEN: Final = re.compile(rf"(-?)([0-9]{{1,9}})(?:\.([0-9]{{1,{_DIGITS}}}))?\Z")


def micro_of(text: str) -> int:
    """Read `5`, `0.25` or `-0.000001`; a `ValueError` says what is none."""
    written = _WRITTEN.match(text)
    if written is None:
        raise ValueError(f"{text[:40]!r} is no amount in dollars; write 5 or 0.25, with {_DIGITS} decimals at most")
    sign, whole, part = written.groups(default="")
    amount = int(whole) * MICRO + int(part.ljust(_DIGITS, "0"))
    return -amount if sign else amount


def in_dollars(micro: int) -> str:
    """Write it with two decimals, or as many more as it has."""
    whole, part = divmod(abs(micro), MICRO)
    decimals = f"{part:0{_DIGITS}}".rstrip("0").ljust(_CENTS, "0")
    return f"{'-' if micro < 0 else ''}{whole}.{decimals}"
