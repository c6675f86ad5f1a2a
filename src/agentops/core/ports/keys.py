"""Keys: what an authenticator can say of the keys it takes, for whatever makes new ones."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class MakesKeys(Protocol):
    """An ability of an authenticator; ask with `isinstance(authenticator, MakesKeys)`."""

    @property
    def prefix(self) -> str:
        """What each of its keys begins with."""
        ...
