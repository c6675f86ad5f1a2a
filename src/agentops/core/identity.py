"""Who is calling, and what that caller may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentops.core.permissions import covers, is_permission

if TYPE_CHECKING:
    from agentops.core.allowance import Allowance

DEFAULT_PROJECT: Final = "default"


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller an authenticator vouches for; a project's runs are seen by its identities only.

    `credential` names what was shown, for the audit and for those who withdraw it, and is no secret: `key:1f0c…`.
    """

    subject: str
    project: str = DEFAULT_PROJECT
    permissions: frozenset[str] = field(default_factory=frozenset[str])
    credential: str | None = None
    role: str | None = None
    expires_at: float | None = None
    """When the credential ends, in seconds since the epoch; a stream that was opened with it ends then too."""
    rates: tuple[str, ...] = ()
    """How often this credential may be used, such as `100/m`; without any, as often as its lane says of a caller."""
    allowance: Allowance | None = None
    """What this credential may ask of models; without one, whatever they and its project allow."""

    def __post_init__(self) -> None:
        wrong = sorted(text for text in self.permissions if not is_permission(text))
        if wrong:
            raise ValueError(f"not a permission: {wrong[0]!r}; write `resource:action`, `resource:*` or `*`")

    def may(self, permission: str) -> bool:
        return covers(self.permissions, permission)


ANONYMOUS: Final = Identity("anonymous", permissions=frozenset({"*"}))
