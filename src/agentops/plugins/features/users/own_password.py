"""The password of whoever is signed in already, asked for once more: guessing it is limited as at the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from agentops.accounts import audit
from agentops.accounts.hashing import matches
from agentops.accounts.throttle import neighbourhood, take_both
from agentops.core.errors import BadRequest, Unavailable
from agentops.sql.tables import users

if TYPE_CHECKING:
    from agentops.accounts.audit import Origin
    from agentops.accounts.throttle import Throttle
    from agentops.accounts.users import User
    from agentops.core.ports.storage import Storage


class Limits(NamedTuple):
    """Failures so far, which are the same for every way to try a password."""

    by_account: Throttle
    by_address: Throttle

    def take(self, account: str, address: str) -> None:
        take_both(self.by_account, account, self.by_address, address)

    def give_back(self, account: str, address: str) -> None:
        self.by_account.give_back(account)
        self.by_address.give_back(address)


async def require(storage: Storage[Any], limits: Limits, origin: Origin, user: User, password: str) -> None:
    """Return if this is the user's password, and else raise, as often as the limits let it."""
    account, address = f"password of {user.id}", neighbourhood(origin.address)
    limits.take(account, address)
    async with storage.read() as connection:
        stored = (await connection.execute(select(users.c.password).where(users.c.id == user.id))).scalar_one()
    try:
        right = await matches(stored, password)
    except Unavailable:
        limits.give_back(account, address)
        raise
    if right:
        limits.give_back(account, address)
        return
    async with storage.write() as connection:
        await audit.record(connection, origin, "user.passwd", user.id, outcome="refused", reason="wrong password")
    raise BadRequest("the old password is wrong", code="wrong_password", param="old")
