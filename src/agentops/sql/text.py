"""Which texts a database can hold."""

from __future__ import annotations


def storable(text: str) -> bool:
    """Postgres refuses NUL, and half a surrogate pair is not UTF-8; both storages refuse both."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
