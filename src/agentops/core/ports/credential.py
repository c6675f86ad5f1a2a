"""Credential: what an authenticator can say of what it wants to be shown; without it, a header `Authorization`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class DescribesCredential(Protocol):
    """An ability of an authenticator; ask with `isinstance(authenticator, DescribesCredential)`."""

    def credential(self) -> Mapping[str, str]:
        """Return the OpenAPI security scheme, such as `{"type": "apiKey", "in": "header", "name": "x-badge"}`."""
        ...
