"""Users: people and programs that sign in with a password, each with one role, in one project."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from agentops.accounts import audit
from agentops.accounts.hashing import hashed
from agentops.core.errors import BadRequest, Conflict, Forbidden, NotFound
from agentops.core.permissions import ROLES, beyond
from agentops.core.problem import nearest
from agentops.core.records import now_ms
from agentops.sql.tables import sessions, users
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.audit import Origin
    from agentops.core.ports.storage import Storage

PASSWORD_LEAST: Final = 8
PASSWORD_MOST: Final = 1024
NAME_MOST: Final = 100
EMAIL_MOST: Final = 254

COLUMNS: Final = ("id", "project", "username", "email", "role", "created_at", "disabled_at")


class User(NamedTuple):
    """A user as everybody may see one."""

    id: str
    project: str
    username: str
    email: str
    role: str
    created_at: int
    disabled_at: int | None


class NewUser(NamedTuple):
    """Who is to be made; the password is kept as a hash only."""

    username: str
    email: str
    password: str
    role: str


class Users:
    """The users in one storage; every change is in the audit trail, in the same transaction."""

    def __init__(self, storage: Storage[Any]) -> None:
        self._storage = storage

    async def add(self, origin: Origin, new: NewUser, granted_by: Collection[str]) -> User:
        """Make a user of the origin's project; a name or an address that is taken is a conflict."""
        _check(new)
        if beyond(ROLES[new.role], granted_by):
            raise Forbidden(f"nobody grants what they do not hold: the role {new.role!r}", code="beyond_own_rights")
        user = User(f"usr_{secrets.token_hex(8)}", origin.project, new.username, new.email, new.role, now_ms(), None)
        row = {
            **user._asdict(),
            "password": await hashed(new.password),
            "username_folded": folded(new.username),
            "email_folded": folded(new.email),
        }
        try:
            async with self._storage.write() as connection:
                await connection.execute(insert(users), row)
                await audit.record(
                    connection, origin, "user.add", user.id, {"username": user.username, "role": user.role}
                )
        except IntegrityError as error:
            taken = await self._what_is_taken(new)
            raise Conflict(f"this {taken} is taken", code=f"{taken}_taken", param=taken) from error
        return user

    async def listed(self, project: str | None) -> Sequence[User]:
        query = select(users).order_by(users.c.username_folded)
        if project is not None:
            query = query.where(users.c.project == project)
        async with self._storage.read() as connection:
            return [user_of(row) for row in await connection.execute(query)]

    async def named(self, username: str) -> User:
        async with self._storage.read() as connection:
            return await _named(connection, username)

    async def get(self, user_id: str) -> User | None:
        if not storable(user_id):
            return None
        async with self._storage.read() as connection:
            row = (await connection.execute(select(users).where(users.c.id == user_id))).first()
        return user_of(row) if row is not None else None

    async def disable(self, origin: Origin, username: str) -> User:
        """Let nobody in as this user any more: not by password, token or key."""
        async with self._storage.write() as connection:
            user = await _named(connection, username)
            if user.disabled_at is None:
                now = now_ms()
                await connection.execute(update(users).where(users.c.id == user.id).values(disabled_at=now))
                await end_sessions(connection, user.id)
                await audit.record(connection, origin, "user.disable", user.id, {"username": user.username})
        return user

    async def set_password(self, origin: Origin, username: str, password: str) -> User:
        """Replace the password; whoever signed in with the old one is signed out."""
        _check_password(password)
        new = await hashed(password)
        async with self._storage.write() as connection:
            user = await _named(connection, username)
            await connection.execute(update(users).where(users.c.id == user.id).values(password=new))
            await end_sessions(connection, user.id)
            await audit.record(connection, origin, "user.passwd", user.id, {"username": user.username})
        return user

    async def set_role(self, origin: Origin, username: str, role: str) -> User:
        """Give the user another role; it holds from the next request on."""
        _check_role(role)
        async with self._storage.write() as connection:
            user = await _named(connection, username)
            await connection.execute(update(users).where(users.c.id == user.id).values(role=role))
            await audit.record(connection, origin, "user.role", user.id, {"was": user.role, "role": role})
        return user._replace(role=role)

    async def _what_is_taken(self, new: NewUser) -> str:
        async with self._storage.read() as connection:
            same = select(users.c.id).where(users.c.username_folded == folded(new.username))
            return "username" if (await connection.execute(same)).first() is not None else "email"


def folded(name: str) -> str:
    """What two names are compared by."""
    return name.casefold()


def user_of(row: Row[Any]) -> User:
    return User(*(getattr(row, name) for name in COLUMNS))


async def end_sessions(connection: AsyncConnection, user_id: str) -> None:
    running = (sessions.c.user_id == user_id) & sessions.c.ended_at.is_(None)
    await connection.execute(update(sessions).where(running).values(ended_at=now_ms()))


async def _named(connection: AsyncConnection, username: str) -> User:
    query = select(users).where(users.c.username_folded == folded(username))
    row = (await connection.execute(query)).first() if storable(username) else None
    if row is None:
        raise NotFound(f"there is no user {username!r}")
    return user_of(row)


def _check(new: NewUser) -> None:
    name = new.username
    if not 1 <= len(name) <= NAME_MOST or not name.isprintable() or name != name.strip() or not storable(name):
        raise BadRequest(f"a username is 1 to {NAME_MOST} printable characters", param="username")
    local, _, domain = new.email.rpartition("@")
    plain = new.email.isprintable() and not any(letter.isspace() for letter in new.email) and storable(new.email)
    if not (local and domain and plain) or len(new.email) > EMAIL_MOST:
        raise BadRequest("this is no e-mail address", param="email")
    _check_role(new.role)
    _check_password(new.password)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise BadRequest(f"there is no role {role[:40]!r}; {nearest(role, ROLES)}", code="unknown_role", param="role")


def _check_password(password: str) -> None:
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST or not storable(password):
        raise BadRequest(f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters", param="password")
