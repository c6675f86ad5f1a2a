"""Withdrawal: what an authenticator can say, later, of the identities it has vouched for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from agentops.core.identity import Identity


@runtime_checkable
class Rechecks(Protocol):
    """An ability of an authenticator; without it, what it vouched for holds until `expires_at`.

    A request is judged anew each time. A stream is not: those that are open are asked about here, all at once,
    every few seconds and whenever a credential was changed in this process.
    """

    async def withdrawn(self, identities: Collection[Identity]) -> Collection[Identity]:
        """Return those of these identities, all vouched for by this authenticator, that it would not return again."""
        ...
