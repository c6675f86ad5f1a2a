"""Changes of a user by an administrator: all of one request in one transaction, and never the last way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import select, update

from agentops.accounts import audit
from agentops.accounts.users import end_sessions, user_of
from agentops.core.errors import Conflict, Forbidden, NotFound
from agentops.core.permissions import ROLES, beyond
from agentops.core.records import now_ms
from agentops.sql.tables import users
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.audit import Origin
    from agentops.accounts.users import User
    from agentops.core.ports.storage import Storage
    from agentops.plugins.features.users.messages import UserChange

ADMIN: Final = "admin"


class Changer(NamedTuple):
    """Who asks for the change, and what that caller holds."""

    origin: Origin
    permissions: Collection[str]


async def change(storage: Storage[Any], by: Changer, user_id: str, wanted: UserChange) -> User:
    """Change a user of the changer's project, and return it as it is then."""
    async with storage.write() as connection:
        found = await _with_all_admins(connection, by.origin.project, user_id)
        was = next((user for user in found if user.id == user_id), None)
        if was is None:
            raise NotFound("there is no such user")
        now = was._replace(
            role=was.role if wanted.role is None else wanted.role,
            disabled_at=was.disabled_at if wanted.disabled is None else _since(was, wanted.disabled),
        )
        _require_rights(by.permissions, was, now)
        _require_an_admin([now if user.id == user_id else user for user in found], was)
        new = {"role": now.role, "disabled_at": now.disabled_at}
        await connection.execute(update(users).where(users.c.id == user_id).values(new))
        await _tell(connection, by.origin, was, now)
    return now


async def _with_all_admins(connection: AsyncConnection, project: str, user_id: str) -> Sequence[User]:
    """The user and the project's administrators, held until the end, so that of two who step down one finds out."""
    if not storable(user_id):
        return []
    query = (
        select(users)
        .where(users.c.project == project, (users.c.id == user_id) | (users.c.role == ADMIN))
        .order_by(users.c.id)
        .with_for_update()
    )
    return [user_of(row) for row in await connection.execute(query)]


def _since(user: User, disabled: bool) -> int | None:
    if not disabled:
        return None
    return now_ms() if user.disabled_at is None else user.disabled_at


def _require_rights(held: Collection[str], was: User, now: User) -> None:
    """Nobody gives what they do not hold, nor takes it from whoever holds more than they do."""
    for role in (was.role, now.role):
        if beyond(ROLES.get(role, ()), held):
            raise Forbidden(
                f"nobody grants or takes what they do not hold: the role {role!r}", code="beyond_own_rights"
            )


def _require_an_admin(after: Sequence[User], was: User) -> None:
    if _is_admin(was) and not any(map(_is_admin, after)):
        raise Conflict("this is the last administrator of the project: make another one first", code="last_admin")


def _is_admin(user: User) -> bool:
    return user.role == ADMIN and user.disabled_at is None


async def _tell(connection: AsyncConnection, origin: Origin, was: User, now: User) -> None:
    if now.role != was.role:
        await audit.record(connection, origin, "user.role", now.id, {"was": was.role, "role": now.role})
    if now.disabled_at == was.disabled_at:
        return
    if now.disabled_at is not None:
        await end_sessions(connection, now.id)
    action = "user.enable" if now.disabled_at is None else "user.disable"
    await audit.record(connection, origin, action, now.id, {"username": now.username})
