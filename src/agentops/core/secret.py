"""A value that may be used but not shown."""

from __future__ import annotations

import hmac
from typing import Final, final

MASK: Final = "********"


@final
class Secret:
    """Text that prints as asterisks; `reveal()` is the only way to what it holds."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def matches(self, presented: str) -> bool:
        """Compare in a time that does not depend on where the two differ."""
        return hmac.compare_digest(self._value.encode(), presented.encode())

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled: it would be written down in clear")
