"""Signing in: a password once, then refresh tokens that are each good for one use.

A refresh token is spent when it is used. Shown again it was stolen, or its thief used it first: the whole family
ends. But an answer may be lost on its way, and the client asks at once again; within the grace it is handed the same
successor. The successor is derived from the token that was shown and a salt in the row, so neither a stolen database
nor a stolen old token yields it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from sqlalchemy import delete, insert, select, update

from agentops.accounts import audit
from agentops.accounts.hashing import hashed, matches, matches_nobody, outdated
from agentops.accounts.standing import SESSION
from agentops.accounts.throttle import take_both
from agentops.accounts.users import NAME_MOST, PASSWORD_MOST, User, folded, user_of
from agentops.core.addresses import neighbourhood
from agentops.core.errors import BadRequest, Unauthorized, Unavailable
from agentops.core.records import DAY_MS, now_ms
from agentops.core.secret import MASK
from agentops.sql.tables import sessions, users
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.audit import Origin
    from agentops.accounts.throttle import Throttle
    from agentops.core.ports.storage import Storage

T = TypeVar("T")

_TOKEN: Final = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22})\Z")
FORGOTTEN_MS: Final = 30 * DAY_MS
"""How long the row of a session that is over is kept, so that its tokens are still known as spent."""


class SignedIn(NamedTuple):
    """A user who is in, by which session, and the token that the next refresh takes."""

    user: User
    session: str
    refresh_token: str

    def __repr__(self) -> str:
        return f"SignedIn(user={self.user!r}, session={self.session!r}, refresh_token={MASK})"


class Sessions:
    """Sign-ins on one storage; failures are counted by account and by address before anything is hashed."""

    def __init__(
        self, storage: Storage[Any], *, days: int, grace_seconds: int, by_account: Throttle, by_address: Throttle
    ) -> None:
        self._storage = storage
        self._lives_ms = days * DAY_MS
        self._grace_ms = grace_seconds * 1000
        self._by_account = by_account
        self._by_address = by_address

    async def login(self, origin: Origin, username: str, password: str) -> SignedIn:
        """Whoever is unknown, disabled or wrong hears the same, after the same time."""
        sign_in = partial(self._signed_in, origin, username, password)
        signed_in = await self._attempt(folded(username), origin, sign_in)
        if signed_in is None:
            raise Unauthorized("the username or the password is wrong", code="invalid_credentials")
        return signed_in

    async def require_password(self, origin: Origin, user: User, password: str) -> None:
        """Ask for the password of whoever is signed in already once more; guessing it is limited as at the door."""
        if await self._attempt(f"password of {user.id}", origin, partial(self._has_password, user, password)):
            return
        async with self._storage.write() as connection:
            await audit.record(connection, origin, "user.passwd", user.id, outcome="refused", reason="wrong password")
        raise BadRequest("the old password is wrong", code="wrong_password", param="old")

    async def refresh(self, origin: Origin, token: str) -> SignedIn:
        """Spend this token for the next one."""
        session_id, secret = await self._issued(token)
        now = now_ms()
        salt = secrets.token_hex(16)
        successor = _successor(secret, salt)
        mine = (sessions.c.id == session_id) & (sessions.c.current == _digest(secret))
        alive = sessions.c.ended_at.is_(None) & (sessions.c.expires_at > now)
        rotated = {"current": _digest(successor), "previous": _digest(secret), "salt": salt, "rotated_at": now}
        async with self._storage.write() as connection:
            done = await connection.execute(update(sessions).where(mine, alive).values(rotated))
            row = await _session_and_user(connection, session_id)
            if row is not None and _runs(row, now):
                if done.rowcount:
                    return SignedIn(user_of(row), session_id, _joined(session_id, successor, row.stamp))
                if row.previous == _digest(secret) and now < row.rotated_at + self._grace_ms:
                    lost = _joined(session_id, _successor(secret, row.salt), row.stamp)
                    return SignedIn(user_of(row), session_id, lost)
                stolen = origin._replace(project=row.project, actor=row.username)
                await _end(connection, stolen, session_id, row.user_id, "a spent refresh token was shown again")
        raise Unauthorized("this refresh token is not valid", code="invalid_token")

    async def logout(self, origin: Origin, session_id: str) -> None:
        """End the family; one that is over already stays so."""
        async with self._storage.write() as connection:
            row = await _session_and_user(connection, session_id)
            if row is not None:
                await _end(connection, origin, session_id, row.user_id, "signed out")

    async def _issued(self, token: str) -> tuple[str, str]:
        """The session and the secret of a token that was issued here, whatever became of it; nothing is written."""
        match = _TOKEN.match(token)
        if match is not None:
            session_id, secret, tag = match.groups()
            async with self._storage.read() as connection:
                row = await _session_and_user(connection, session_id)
            if row is not None and hmac.compare_digest(_tag(secret, row.stamp), tag):
                return session_id, secret
        raise Unauthorized("this refresh token is not valid", code="invalid_token")

    async def _attempt(self, account: str, origin: Origin, succeeds: Callable[[], Awaitable[T]]) -> T:
        """Count it before it is made; it is no failure if it succeeds, or if nothing could be found out."""
        address = neighbourhood(origin.address)
        take_both(self._by_account, account, self._by_address, address)
        try:
            outcome = await succeeds()
        except Unavailable:
            self._give_back(account, address)
            raise
        if outcome:
            self._give_back(account, address)
        return outcome

    def _give_back(self, account: str, address: str) -> None:
        self._by_account.give_back(account)
        self._by_address.give_back(address)

    async def _has_password(self, user: User, password: str) -> bool:
        query = select(users.c.password).where(users.c.id == user.id)
        async with self._storage.read() as connection:
            stored = (await connection.execute(query)).scalar_one()
        return await matches(stored, password)

    async def _signed_in(self, origin: Origin, username: str, password: str) -> SignedIn | None:
        """A user who was changed while the password was proved has to prove it again."""
        while True:
            row = await self._row_named(username)
            if not await _proves(row, password):
                await self._failed(origin, row)
                return None
            assert row is not None  # noqa: S101 - nobody else proves anything
            signed_in = await self._open(origin, row, password)
            if signed_in is not None:
                return signed_in

    async def _row_named(self, username: str) -> Row[Any] | None:
        if len(username) > NAME_MOST or not storable(username):
            return None
        query = select(users).where(users.c.username_folded == folded(username))
        async with self._storage.read() as connection:
            return (await connection.execute(query)).first()

    async def _open(self, origin: Origin, proven: Row[Any], password: str) -> SignedIn | None:
        """Begin a family, unless the user is not as proven any more."""
        again = await hashed(password) if outdated(proven.password) else None
        same = (users.c.id == proven.id) & (users.c.password == proven.password) & users.c.disabled_at.is_(None)
        now = now_ms()
        session_id, secret, stamp = secrets.token_hex(16), secrets.token_urlsafe(32), secrets.token_hex(16)
        session = {
            "id": session_id,
            "user_id": proven.id,
            "stamp": stamp,
            "current": _digest(secret),
            "created_at": now,
            "expires_at": now + self._lives_ms,
        }
        async with self._storage.write() as connection:
            row = (await connection.execute(select(users).where(same).with_for_update())).first()
            if row is None:
                return None
            await connection.execute(delete(sessions).where(sessions.c.expires_at < now - FORGOTTEN_MS))
            await connection.execute(insert(sessions), session)
            if again is not None:
                await connection.execute(update(users).where(users.c.id == row.id).values(password=again))
            who = origin._replace(project=row.project, actor=row.username, credential=f"{SESSION}{session_id}")
            await audit.record(connection, who, "session.login", row.id)
        return SignedIn(user_of(row), session_id, _joined(session_id, secret, stamp))

    async def _failed(self, origin: Origin, row: Row[Any] | None) -> None:
        """What was typed as a name that nobody has is not kept: it may be a password."""
        who = origin._replace(project=row.project if row is not None else origin.project)
        if row is not None:
            who = who._replace(actor=row.username)
        reason = "wrong password" if row is not None and row.disabled_at is None else "unknown or disabled"
        async with self._storage.write() as connection:
            target = row.id if row is not None else ""
            await audit.record(connection, who, "session.login", target, outcome="refused", reason=reason)


async def _proves(row: Row[Any] | None, password: str) -> bool:
    if len(password) > PASSWORD_MOST or not storable(password):
        return False
    if row is None or row.disabled_at is not None:
        await matches_nobody(password)
        return False
    return await matches(row.password, password)


async def _session_and_user(connection: AsyncConnection, session_id: str) -> Row[Any] | None:
    query = (
        select(sessions.c.user_id, sessions.c.stamp, sessions.c.current, sessions.c.previous, sessions.c.salt)
        .add_columns(sessions.c.rotated_at, sessions.c.expires_at, sessions.c.ended_at, users)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.id == session_id)
    )
    return (await connection.execute(query)).first() if storable(session_id) else None


def _runs(row: Row[Any], now: int) -> bool:
    return row.ended_at is None and now < row.expires_at and row.disabled_at is None


async def _end(connection: AsyncConnection, origin: Origin, session_id: str, user_id: str, reason: str) -> None:
    """Of two who end it at once one does, and tells of it."""
    running = (sessions.c.id == session_id) & sessions.c.ended_at.is_(None)
    if (await connection.execute(update(sessions).where(running).values(ended_at=now_ms()))).rowcount:
        await audit.record(connection, origin, "session.end", user_id, {"session": session_id}, reason=reason)


def _joined(session_id: str, secret: str, stamp: str) -> str:
    return f"{session_id}.{secret}.{_tag(secret, stamp)}"


def _tag(secret: str, stamp: str) -> str:
    """What shows that a secret was issued in this session: a made-up one must not end it as a spent one does."""
    return urlsafe_b64encode(hmac.digest(stamp.encode(), secret.encode(), "sha256")[:16]).rstrip(b"=").decode()


def _digest(secret: str) -> str:
    """256 random bits need no slow hash."""
    return sha256(secret.encode()).hexdigest()


def _successor(secret: str, salt: str) -> str:
    return urlsafe_b64encode(hmac.digest(secret.encode(), salt.encode(), "sha256")).rstrip(b"=").decode()
