"""One fixed key in a header, or several, so that one can be replaced while the other still works."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from msgspec import field

from agentops.core.auth_header import AuthHeader, AuthHeaders
from agentops.core.auth_settings import HeaderName, NotEmpty, check_secret
from agentops.core.errors import Rejected
from agentops.core.identity import DEFAULT_PROJECT, Identity
from agentops.core.plugin import Settings
from agentops.core.ports.auth import Authenticator
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentops.core.ports.auth import Caller
    from agentops.core.problem import Problem


class StaticKeySettings(Settings):
    """`use = "static-key"`: whoever knows one of the keys may do what `permissions` say."""

    header: HeaderName = "x-api-key"
    scheme: HeaderName | None = None
    """The word before the key: with `Bearer` and the header `Authorization`, the key comes as a bearer token."""
    more_headers: list[HeaderName] = []
    """Where the key may be sent instead, by clients of another system; in `Authorization` behind `Bearer`."""
    keys: list[Secret] = []
    """None at all leaves the lane open."""
    wrong_key_status: Literal[401, 403] = 401
    subject: NotEmpty = "static-key"
    project: NotEmpty = DEFAULT_PROJECT
    permissions: list[str] = field(default_factory=lambda: ["*"])


class StaticKey(Authenticator[StaticKeySettings]):
    """Compares with every key, always, so that time tells nothing about which one nearly matched."""

    @property
    def armed(self) -> bool:
        return bool(self.settings.keys)

    def check(self) -> Iterator[Problem]:
        for index, key in enumerate(self.settings.keys):
            yield from check_secret(f"keys[{index}]", key)
        yield from self._headers.check()

    def credential(self) -> dict[str, str]:
        return self._headers.described()

    def more_credentials(self) -> Sequence[Mapping[str, str]]:
        return self._headers.more_described()

    async def authenticate(self, caller: Caller) -> Identity | None:
        presented = self._headers.credential_of(caller)
        if presented is None:
            return None
        if sum(key.matches(presented) for key in self.settings.keys) == 0:
            raise Rejected(status=self.settings.wrong_key_status)
        return self._identity

    @cached_property
    def _headers(self) -> AuthHeaders:
        return AuthHeaders(AuthHeader(self.settings.header, self.settings.scheme), self.settings.more_headers)

    @cached_property
    def _identity(self) -> Identity:
        given = self.settings
        return Identity(given.subject, given.project, frozenset(given.permissions))
