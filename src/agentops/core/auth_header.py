"""Where a credential is sent: in a header, behind a word such as `Bearer` or alone, or in one of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from agentops.core.errors import Rejected
from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentops.core.ports.auth import Caller


AUTHORIZATION: Final = "authorization"


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
        if self.scheme is not None and self.name.lower() == AUTHORIZATION:
            return {"type": "http", "scheme": self.scheme.lower()}
        return {"type": "apiKey", "in": "header", "name": self.name}


class AuthHeaders:
    """Any of several headers: clients of other systems send what they were given in the header that they know."""

    def __init__(self, first: AuthHeader, more: Sequence[str]) -> None:
        """In `Authorization` the further ones stand behind `Bearer`, too."""
        self._first = first
        self._all = (first, *(AuthHeader(name, "Bearer" if name.lower() == AUTHORIZATION else None) for name in more))

    def credential_of(self, caller: Caller, beginning: str = "") -> str | None:
        """The one that begins like this. Of two that differ nobody knows which was meant, and neither is taken."""
        found: str | None = None
        for header in self._all:
            credential = header.credential_of(caller)
            if credential is not None and credential.startswith(beginning):
                if found is not None and found != credential:
                    raise Rejected
                found = credential
        return found

    def check(self) -> Iterator[Problem]:
        names = [header.name.lower() for header in self._all]
        for index, name in enumerate(names[1:]):
            if name in names[: index + 1]:
                yield Problem(
                    f"more_headers[{index}]",
                    f"the header {name!r} is named twice",
                    "it is looked at once, in whatever letters it is written",
                    "remove one of the two",
                )

    def described(self) -> dict[str, str]:
        return self._first.described()

    def more_described(self) -> Sequence[Mapping[str, str]]:
        return [header.described() for header in self._all[1:]]
