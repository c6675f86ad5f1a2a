"""One fixed key in a header, or several, so that one can be replaced while the other still works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, field

from agentops.core.errors import Rejected
from agentops.core.identity import DEFAULT_PROJECT, Identity
from agentops.core.plugin import Settings
from agentops.core.ports.auth import Authenticator
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from agentops.core.ports.auth import Caller


class StaticKeySettings(Settings):
    """`use = "static-key"`: whoever knows one of the keys may do what `permissions` say."""

    header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")] = "x-api-key"
    keys: list[Secret] = []
    """None at all leaves the lane open."""
    wrong_key_status: Literal[401, 403] = 401
    subject: str = "static-key"
    project: str = DEFAULT_PROJECT
    permissions: list[str] = field(default_factory=lambda: ["*"])


class StaticKey(Authenticator[StaticKeySettings]):
    """Compares with every key, always, so that time tells nothing about which one nearly matched."""

    def __init__(self, settings: StaticKeySettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        given = self.settings
        self._identity = Identity(given.subject, given.project, frozenset(given.permissions))

    @property
    def armed(self) -> bool:
        return bool(self.settings.keys)

    def credential(self) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": self.settings.header}

    async def authenticate(self, caller: Caller) -> Identity | None:
        presented = caller.header(self.settings.header)
        if presented is None:
            return None
        if sum(key.matches(presented) for key in self.settings.keys) == 0:
            raise Rejected(status=self.settings.wrong_key_status)
        return self._identity
