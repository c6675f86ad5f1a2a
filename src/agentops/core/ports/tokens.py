"""Tokens: what an authenticator can issue, for a feature that signs people in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class IssuesTokens(Protocol):
    """An ability of an authenticator; ask with `isinstance(authenticator, IssuesTokens)`."""

    @property
    def accounts(self) -> bool:
        """Whether it looks at the user and the session behind a token on every request."""
        ...

    def issue(self, claims: Mapping[str, Any], seconds: int) -> str:
        """Return a token with these claims that this authenticator itself takes for so long."""
        ...
