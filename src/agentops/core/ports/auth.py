"""Auth: turns credentials into an identity. A lane has a chain of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from agentops.core.errors import Rejected
from agentops.core.identity import Identity
from agentops.core.plugin import Kind, Plugin, S


@dataclass(frozen=True, slots=True)
class Caller:
    """What an authenticator sees of a request: its headers, names in lower case, and the address of its peer."""

    headers: Sequence[tuple[bytes, bytes]]
    peer: str | None = None

    def header(self, name: str) -> str | None:
        """Return the header's one value; sent twice it is nobody's credential."""
        wanted = name.lower().encode("latin-1")
        values = [value for key, value in self.headers if key == wanted]
        if len(values) > 1:
            raise Rejected
        return values[0].decode("latin-1").strip(" \t") if values else None


class Authenticator(Plugin[S]):
    """One way to prove who is calling.

    Three outcomes: `None`, no credential of mine is here, ask the next; an `Identity`; or `Rejected`.
    The first in a lane's chain that does not answer `None` decides; when all do, the answer is 401.
    Anything else it raises is a fault of its lane alone, which then answers 503.
    """

    kind: ClassVar[Kind] = "auth"

    @property
    def armed(self) -> bool:
        """Whether there is anything to check against; a lane whose every authenticator is unarmed is open."""
        return True

    @abstractmethod
    async def authenticate(self, caller: Caller) -> Identity | None:
        """Judge this caller; never answer differently for an unknown and for a wrong credential."""
