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
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.audit import Origin
    from agentops.core.ports.storage import Storage

PASSWORD_LEAST: Final = 8
PASSWORD_MOST: Final = 1024
NAME_MOST: Final = 100
EMAIL_MOST: Final = 254

ADMIN: Final = "admin"
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
        if not storable(origin.project):
            raise BadRequest("a project's name is text without NUL", param="project")
        _raise_first(refusals_of(new))
        _require_rights(granted_by, new.role)
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

    async def anybody(self) -> bool:
        """Whether there is a user at all, in whichever project."""
        async with self._storage.read() as connection:
            return (await connection.execute(select(users.c.id).limit(1))).first() is not None

    async def disable(self, origin: Origin, username: str) -> User:
        """Let nobody in as this user any more: not by password, token or key."""
        return await self._change_named(origin, username, disabled=True)

    async def enable(self, origin: Origin, username: str) -> User:
        """Let the user in again, by password and by keys that are still good; sessions that ended stay so."""
        return await self._change_named(origin, username, disabled=False)

    async def set_password(self, origin: Origin, username: str, password: str) -> User:
        """Replace the password; whoever signed in with the old one is signed out."""
        _raise_first(_refusals_of_password(password))
        new = await hashed(password)
        async with self._storage.write() as connection:
            user = await _named(connection, username, to_change=True)
            await connection.execute(update(users).where(users.c.id == user.id).values(password=new))
            await _end_sessions(connection, user.id)
            await _record(connection, origin, "user.passwd", user, {"username": user.username})
        return user

    async def set_role(self, origin: Origin, username: str, role: str) -> User:
        """Give the user another role; it holds from the next request on."""
        return await self._change_named(origin, username, role=role)

    async def change(
        self,
        origin: Origin,
        user_id: str,
        granted_by: Collection[str],
        *,
        role: str | None = None,
        disabled: bool | None = None,
    ) -> User:
        """Change a user of the origin's project: nobody who may do more, and never the project's last way in."""
        _raise_first(_refusals_of_role(role))
        async with self._storage.write() as connection:
            found = await _with_all_admins(connection, origin.project, user_id)
            was = next((user for user in found if user.id == user_id), None)
            if was is None:
                raise NotFound("there is no such user")
            now = _changed(was, role, disabled)
            _require_rights(granted_by, was.role, now.role)
            _require_an_admin([now if user.id == user_id else user for user in found], was)
            await _store(connection, origin, was, now)
        return now

    async def _change_named(
        self, origin: Origin, username: str, *, role: str | None = None, disabled: bool | None = None
    ) -> User:
        """What the operator of the server asks for, who holds every right and has another way in."""
        _raise_first(_refusals_of_role(role))
        async with self._storage.write() as connection:
            was = await _named(connection, username, to_change=True)
            now = _changed(was, role, disabled)
            await _store(connection, origin, was, now)
        return now

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


def refusals_of(new: NewUser) -> Iterator[BadRequest]:
    """What is wrong with each field of somebody who is to be made; whether a name is taken only the storage knows."""
    name = new.username
    if not 1 <= len(name) <= NAME_MOST or not name.isprintable() or name != name.strip() or not storable(name):
        message = f"a username is 1 to {NAME_MOST} printable characters, with no blank before or behind them"
        yield BadRequest(message, param="username")
    local, _, domain = new.email.rpartition("@")
    plain = new.email.isprintable() and not any(letter.isspace() for letter in new.email) and storable(new.email)
    if not (local and domain and plain) or len(new.email) > EMAIL_MOST:
        yield BadRequest("this is no e-mail address: write it like ada@example.com", param="email")
    yield from _refusals_of_role(new.role)
    yield from _refusals_of_password(new.password)


def _refusals_of_role(role: str | None) -> Iterator[BadRequest]:
    if role is not None and role not in ROLES:
        message = f"there is no role {role[:40]!r}; {nearest(role, ROLES)}"
        yield BadRequest(message, code="unknown_role", param="role")


def _refusals_of_password(password: str) -> Iterator[BadRequest]:
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST or not storable(password):
        yield BadRequest(f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters", param="password")


def _raise_first(refusals: Iterable[BadRequest]) -> None:
    for refusal in refusals:
        raise refusal


def _require_rights(held: Collection[str], *roles: str) -> None:
    """Nobody gives what they do not hold, nor takes it from whoever holds more than they do."""
    for role in roles:
        if beyond(ROLES.get(role, ()), held):
            raise Forbidden(
                f"nobody grants or takes what they do not hold: the role {role!r}", code="beyond_own_rights"
            )


def _require_an_admin(after: Sequence[User], was: User) -> None:
    if _is_admin(was) and not any(map(_is_admin, after)):
        raise Conflict("this is the last administrator of the project: make another one first", code="last_admin")


def _is_admin(user: User) -> bool:
    return user.role == ADMIN and user.disabled_at is None


def _changed(user: User, role: str | None, disabled: bool | None) -> User:
    """The user with what was asked for; whoever is disabled already has been so since then."""
    if role is not None:
        user = user._replace(role=role)
    if disabled is not None and disabled != (user.disabled_at is not None):
        user = user._replace(disabled_at=now_ms() if disabled else None)
    return user


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


async def _named(connection: AsyncConnection, username: str, *, to_change: bool = False) -> User:
    """The user; whoever is going to change it holds its row from here on, so that the audit tells what was."""
    query = select(users).where(users.c.username_folded == folded(username))
    if to_change:
        query = query.with_for_update()
    row = (await connection.execute(query)).first() if storable(username) else None
    if row is None:
        raise NotFound(f"there is no user {username[:NAME_MOST]!r}")
    return user_of(row)


async def _store(connection: AsyncConnection, origin: Origin, was: User, now: User) -> None:
    """Store the role and the state, each change of which is an entry of its own; what is as it was is none."""
    new = {"role": now.role, "disabled_at": now.disabled_at}
    await connection.execute(update(users).where(users.c.id == now.id).values(new))
    if now.role != was.role:
        await _record(connection, origin, "user.role", now, {"was": was.role, "role": now.role})
    if now.disabled_at == was.disabled_at:
        return
    if now.disabled_at is not None:
        await _end_sessions(connection, now.id)
    action = "user.enable" if now.disabled_at is None else "user.disable"
    await _record(connection, origin, action, now, {"username": now.username})


async def _end_sessions(connection: AsyncConnection, user_id: str) -> None:
    now = now_ms()
    running = (sessions.c.user_id == user_id) & sessions.c.ended_at.is_(None) & (sessions.c.expires_at > now)
    await connection.execute(update(sessions).where(running).values(ended_at=now))


async def _record(
    connection: AsyncConnection, origin: Origin, action: str, user: User, details: Mapping[str, object]
) -> None:
    """In the trail of the user's own project, whichever the one who changes it is in."""
    await audit.record(connection, origin._replace(project=user.project), action, user.id, details)
