"""Where a credential is sent: in a header, behind a word such as `Bearer` or alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agentops.core.ports.auth import Caller


class AuthHeader(NamedTuple):
    """`Authorization: Bearer …` is a header with a scheme, and `x-api-key: …` one without."""

    name: str
    scheme: str | None = None

    def credential_of(self, caller: Caller) -> str | None:
        """An empty value presents nothing, and what follows another scheme is for another authenticator."""
        value = caller.header(self.name)
        if not value or self.scheme is None:
            return value or None
        scheme, _, credential = value.partition(" ")
        return credential.lstrip(" ") if scheme.lower() == self.scheme.lower() else None

    def described(self) -> dict[str, str]:
        """Say it in the words of OpenAPI, which knows schemes in `Authorization` only."""
        if self.scheme is not None and self.name.lower() == "authorization":
            return {"type": "http", "scheme": self.scheme.lower()}
        return {"type": "apiKey", "in": "header", "name": self.name}
