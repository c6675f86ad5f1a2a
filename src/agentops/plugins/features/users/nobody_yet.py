"""Says at start that there is no user at all: nobody could sign in, and nobody make another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentops.accounts.users import Users
    from agentops.core.signals import Signals


async def tell(users: Users, signals: Signals) -> None:
    """Warn, and say how the first administrator is made."""
    if not await users.anybody():
        signals.event(
            "users.nobody",
            "warning",
            meaning="there is no user, so nobody can sign in or make one",
            remedy="make the first administrator with the same --config: "
            "agentops users add NAME --email ADDRESS --role admin; "
            "or set `username`, `email` and `password` in [features.users.first_admin] and start again",
        )
