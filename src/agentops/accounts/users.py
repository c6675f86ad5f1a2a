"""Users: people and programs that sign in with a password, each with one role, in one project."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unicodedata import normalize

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from agentops.accounts import audit
from agentops.accounts.hashing import hashed
from agentops.core.errors import BadRequest, Conflict, Forbidden, NotFound
from agentops.core.permissions import ROLES, beyond
from agentops.core.problem import nearest
from agentops.core.records import now_ms
from agentops.core.secret import MASK
from agentops.sql.tables import sessions, users
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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

    def __repr__(self) -> str:
        return f"NewUser(username={self.username!r}, email={self.email!r}, password={MASK}, role={self.role!r})"


class Users:
    """The users in one storage; every change is in the audit trail, in the same transaction."""

    def __init__(self, storage: Storage[Any]) -> None:
        self._storage = storage

    async def add(self, origin: Origin, new: NewUser, granted_by: Collection[str]) -> User:
        """Make a user of the origin's project; a name or an address that is taken is a conflict."""
        _check(origin.project, new)
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
            if taken is None:
                raise
            raise Conflict(f"this {taken} is taken", code=f"{taken}_taken", param=taken) from error
        return user

    async def listed(self, project: str | None) -> Sequence[User]:
        query = select(users).order_by(users.c.username_folded)
        if project is not None:
            query = query.where(users.c.project == project)
        if not storable(project or ""):
            return []
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
            user = await _named(connection, username, to_change=True)
            if user.disabled_at is not None:
                return user
            now = now_ms()
            await connection.execute(update(users).where(users.c.id == user.id).values(disabled_at=now))
            await end_sessions(connection, user.id)
            await _record(connection, origin, "user.disable", user, {"username": user.username})
        return user._replace(disabled_at=now)

    async def set_password(self, origin: Origin, username: str, password: str) -> User:
        """Replace the password; whoever signed in with the old one is signed out."""
        _check_password(password)
        new = await hashed(password)
        async with self._storage.write() as connection:
            user = await _named(connection, username, to_change=True)
            await connection.execute(update(users).where(users.c.id == user.id).values(password=new))
            await end_sessions(connection, user.id)
            await _record(connection, origin, "user.passwd", user, {"username": user.username})
        return user

    async def set_role(self, origin: Origin, username: str, role: str) -> User:
        """Give the user another role; it holds from the next request on."""
        _check_role(role)
        async with self._storage.write() as connection:
            user = await _named(connection, username, to_change=True)
            await connection.execute(update(users).where(users.c.id == user.id).values(role=role))
            await _record(connection, origin, "user.role", user, {"was": user.role, "role": role})
        return user._replace(role=role)

    async def _what_is_taken(self, new: NewUser) -> str | None:
        name, email = users.c.username_folded == folded(new.username), users.c.email_folded == folded(new.email)
        async with self._storage.read() as connection:
            for taken, same in (("username", name), ("email", email)):
                if (await connection.execute(select(users.c.id).where(same))).first() is not None:
                    return taken
        return None


def folded(name: str) -> str:
    """What two names are compared by."""
    return normalize("NFKC", normalize("NFKC", name).casefold())


def user_of(row: Row[Any]) -> User:
    return User(*(getattr(row, name) for name in COLUMNS))


async def end_sessions(connection: AsyncConnection, user_id: str) -> None:
    now = now_ms()
    running = (sessions.c.user_id == user_id) & sessions.c.ended_at.is_(None) & (sessions.c.expires_at > now)
    await connection.execute(update(sessions).where(running).values(ended_at=now))


async def _named(connection: AsyncConnection, username: str, *, to_change: bool = False) -> User:
    """The user; whoever is going to change it holds its row from here on, so that the audit tells what was."""
    query = select(users).where(users.c.username_folded == folded(username))
    if to_change:
        query = query.with_for_update()
    row = (await connection.execute(query)).first() if storable(username) else None
    if row is None:
        raise NotFound(f"there is no user {username[:NAME_MOST]!r}")
    return user_of(row)


async def _record(
    connection: AsyncConnection, origin: Origin, action: str, user: User, details: Mapping[str, object]
) -> None:
    """In the trail of the user's own project, whichever the one who changes it is in."""
    await audit.record(connection, origin._replace(project=user.project), action, user.id, details)


def _check(project: str, new: NewUser) -> None:
    if not storable(project):
        raise BadRequest("a project's name is text without NUL", param="project")
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
