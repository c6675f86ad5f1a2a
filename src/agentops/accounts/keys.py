"""API keys: made, listed, revoked and rotated. Only a hash of each is kept, and its text is shown once."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import insert, select, update

from agentops.accounts import audit
from agentops.accounts.hashing import hashed
from agentops.accounts.key_text import SHOWN, make_key, parse_key
from agentops.accounts.wanted_key import DAYS_MOST, Wanted, check_grant, check_wanted
from agentops.core.allowance import UNLIMITED, allowance_of, allowance_text
from agentops.core.errors import BadRequest, Conflict, NotFound, Unavailable
from agentops.core.records import DAY_MS, now_ms
from agentops.sql.tables import keys
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.audit import Origin
    from agentops.accounts.wanted_key import Granter
    from agentops.core.allowance import Allowance
    from agentops.core.ports.storage import Storage

CREDENTIAL: Final = "key:"
"""Before a key's id, in the credential of an identity."""

_ID_BYTES: Final = 8
_ID: Final = re.compile(rf"[0-9a-f]{{{_ID_BYTES * 2}}}\Z")
"""Somebody may send the key itself by mistake, and statements with their values are what a driver logs."""

State = Literal["active", "expired", "revoked"]


class Key(NamedTuple):
    """A key as its owner may see it; times are epoch milliseconds."""

    id: str
    name: str
    shown: str
    owner: str
    project: str
    permissions: Sequence[str]
    networks: Sequence[str]
    rates: Sequence[str]
    llm: Allowance | None
    created_at: int
    expires_at: int
    revoked_at: int | None
    last_used_at: int | None

    @property
    def ends_at(self) -> int:
        return self.expires_at if self.revoked_at is None else min(self.expires_at, self.revoked_at)

    @property
    def state(self) -> State:
        now = now_ms()
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        return "active" if now < self.expires_at else "expired"


class Keys:
    """The keys in one storage; every change is in the audit trail, in the same transaction."""

    def __init__(self, storage: Storage[Any], prefix: str | None) -> None:
        """Without a prefix, that of the authenticator they are for, none can be made now."""
        self._storage = storage
        self._prefix = prefix

    async def create(self, origin: Origin, wanted: Wanted, granter: Granter) -> tuple[Key, str]:
        """Make a key and return it with its text, which nobody can be shown again."""
        check_wanted(origin.project, wanted, granter)
        now = now_ms()
        key, text, row = await self._made(origin.project, wanted, now, now + wanted.days * DAY_MS)
        async with self._storage.write() as connection:
            await connection.execute(insert(keys), row)
            await audit.record(connection, origin, "key.create", key.id, _told(key))
        return key, text

    async def of_owner(self, project: str, owner: str) -> Sequence[Key]:
        """All of them, newest first, revoked and expired ones too."""
        return await self._found(project, owner)

    async def of_project(self, project: str) -> Sequence[Key]:
        return await self._found(project, None)

    async def revoke(self, origin: Origin, owner: str | None, key_id: str) -> None:
        """Refuse the key from now on; without an owner it may be anybody's of the project. Twice is no mistake."""
        async with self._storage.write() as connection:
            key = await _one(connection, origin.project, owner, key_id, to_change=True)
            if key.state != "revoked":
                await _revoke(connection, origin, key)

    async def revoke_all(self, origin: Origin, owner: str) -> int:
        """Revoke every key of this owner that still works; return how many there were.

        A rotation that held its key first leaves another one behind, so it looks until there is nothing new.
        """
        if not (storable(origin.project) and storable(owner)):
            return 0
        mine = _of(origin.project, owner).order_by(keys.c.id).with_for_update()
        seen: set[str] = set()
        revoked = 0
        async with self._storage.write() as connection:
            while fresh := [key for key in await _read(connection, mine) if key.id not in seen]:
                for key in fresh:
                    seen.add(key.id)
                    if key.state == "active":
                        await _revoke(connection, origin, key)
                        revoked += 1
        return revoked

    async def rotate(
        self, origin: Origin, owner: str | None, key_id: str, grace_seconds: int, granter: Granter
    ) -> tuple[Key, str]:
        """Make a key like this one; the old one lives on for the grace, and never past its own end."""
        if grace_seconds < 0:
            raise BadRequest("a grace is 0 seconds or more", param="grace_seconds")
        async with self._storage.read() as connection:
            old = await _one(connection, origin.project, owner, key_id)
        _check_rotates(old)
        wanted = Wanted(old.owner, old.name, DAYS_MOST, old.permissions, old.networks, old.rates, _carried_on(old))
        check_grant(wanted, granter)
        now = now_ms()
        new, text, row = await self._made(old.project, wanted, now, now + old.expires_at - old.created_at)
        ends = min(now + grace_seconds * 1000, old.expires_at)
        async with self._storage.write() as connection:
            _check_rotates(await _one(connection, origin.project, owner, key_id, to_change=True))
            await connection.execute(update(keys).where(keys.c.id == old.id).values(revoked_at=ends))
            await connection.execute(insert(keys), row)
            details = {"owner": old.owner, "replaced_by": new.id, "old_ends_at": ends}
            await audit.record(connection, origin, "key.rotate", old.id, details)
        return new, text

    async def _made(
        self, project: str, wanted: Wanted, now: int, expires_at: int
    ) -> tuple[Key, str, dict[str, object]]:
        if self._prefix is None:
            raise Unavailable("no key can be made right now", code="auth_unavailable")
        text = make_key(self._prefix)
        parsed = parse_key(text, self._prefix)
        assert parsed is not None  # noqa: S101 - what was just made
        key = Key(
            id=secrets.token_hex(_ID_BYTES),
            name=wanted.name,
            shown=text[:SHOWN],
            owner=wanted.owner,
            project=project,
            permissions=sorted(set(wanted.permissions)),
            networks=list(wanted.networks),
            rates=list(wanted.rates),
            llm=None if wanted.llm == UNLIMITED else wanted.llm,
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
            last_used_at=None,
        )
        row: dict[str, object] = {
            **key._asdict(),
            "permissions": msgspec.json.encode(key.permissions).decode(),
            "networks": msgspec.json.encode(key.networks).decode(),
            "rates": msgspec.json.encode(key.rates).decode(),
            "llm": allowance_text(key.llm),
            "lookup": parsed.lookup,
            "prefix": self._prefix,
            "hash": await hashed(parsed.secret),
        }
        return key, text, row

    async def _found(self, project: str, owner: str | None) -> Sequence[Key]:
        if not (storable(project) and storable(owner or "")):
            return []
        async with self._storage.read() as connection:
            return await _read(connection, _of(project, owner).order_by(keys.c.created_at.desc(), keys.c.id))


async def _one(
    connection: AsyncConnection, project: str, owner: str | None, key_id: str, *, to_change: bool = False
) -> Key:
    """The key, if it is this owner's; somebody else's is not there, as an unknown one is not.

    Whoever is going to change it holds its row from here on, so that of two changes the second sees the first.
    """
    query = _of(project, owner).where(keys.c.id == key_id)
    if to_change:
        query = query.with_for_update()
    possible = storable(project) and storable(owner or "") and _ID.match(key_id)
    key = next(iter(await _read(connection, query) if possible else ()), None)
    if key is None:
        raise NotFound("there is no such key")
    return key


async def _read(connection: AsyncConnection, query: Select[Any]) -> Sequence[Key]:
    return [_key(row) for row in (await connection.execute(query)).mappings()]


async def _revoke(connection: AsyncConnection, origin: Origin, key: Key) -> None:
    await connection.execute(update(keys).where(keys.c.id == key.id).values(revoked_at=now_ms()))
    await audit.record(connection, origin, "key.revoke", key.id, {"owner": key.owner})


def _of(project: str, owner: str | None) -> Select[Any]:
    query = select(keys).where(keys.c.project == project)
    return query if owner is None else query.where(keys.c.owner == owner)


def _key(row: RowMapping) -> Key:
    values: dict[str, Any] = {name: row[name] for name in Key._fields}
    values["permissions"] = msgspec.json.decode(row["permissions"], type=list[str])
    values["networks"] = msgspec.json.decode(row["networks"], type=list[str])
    values["rates"] = msgspec.json.decode(row["rates"], type=list[str])
    values["llm"] = allowance_of(row["llm"])
    return Key(**values)


def _told(key: Key) -> dict[str, object]:
    told: dict[str, object] = {
        "owner": key.owner,
        "name": key.name,
        "permissions": key.permissions,
        "expires_at": key.expires_at,
    }
    limited = {"networks": key.networks, "rates": key.rates, "llm": key.llm}
    return told | {name: what for name, what in limited.items() if what}


def _carried_on(old: Key) -> Allowance | None:
    """The same allowance, of which the old key may have used some."""
    if old.llm is None:
        return None
    return replace(old.llm, counts_as=old.llm.counts_as or f"{CREDENTIAL}{old.id}")


def _check_rotates(key: Key) -> None:
    if key.state != "active" or key.revoked_at is not None:
        raise Conflict("only a key that works and was not rotated yet can be rotated", code="key_not_active")
