"""Credential: what an authenticator can say of what it wants to be shown; without it, a header `Authorization`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class DescribesCredential(Protocol):
    """An ability of an authenticator; ask with `isinstance(authenticator, DescribesCredential)`."""

    def credential(self) -> Mapping[str, str]:
        """Return the OpenAPI security scheme, such as `{"type": "apiKey", "in": "header", "name": "x-badge"}`."""
        ...


@runtime_checkable
class DescribesMoreCredentials(Protocol):
    """An ability of an authenticator that takes the same credential in other places too; without it, in no other."""

    def more_credentials(self) -> Sequence[Mapping[str, str]]:
        """Return the security scheme of each of them."""
        ...


def schemes_of(authenticator: object) -> Sequence[Mapping[str, str]]:
    """Every place of which an authenticator says that it looks there."""
    schemes: list[Mapping[str, str]] = []
    if isinstance(authenticator, DescribesCredential):
        schemes.append(authenticator.credential())
    if isinstance(authenticator, DescribesMoreCredentials):
        schemes += authenticator.more_credentials()
    return schemes
