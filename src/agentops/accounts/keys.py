"""API keys: made, listed, revoked and rotated. Only a hash of each is kept, and its text is shown once."""

from __future__ import annotations

import secrets
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
from sqlalchemy import insert, select, update

from agentops.accounts import audit
from agentops.accounts.hashing import hashed
from agentops.accounts.key_text import LOOKUP_DIGITS, SHOWN, make_key, parse_key
from agentops.core.errors import BadRequest, Conflict, Forbidden, NotFound
from agentops.core.permissions import beyond, unknown
from agentops.core.records import now_ms
from agentops.sql.tables import keys
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.audit import Origin
    from agentops.core.ports.storage import Storage

DAY_MS: Final = 24 * 60 * 60 * 1000
DAYS_MOST: Final = 365
NAME_MOST: Final = 200
NETWORKS_MOST: Final = 50

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
    created_at: int
    expires_at: int
    revoked_at: int | None
    last_used_at: int | None

    @property
    def state(self) -> State:
        now = now_ms()
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        return "active" if now < self.expires_at else "expired"


class Wanted(NamedTuple):
    """What a new key is to be."""

    owner: str
    name: str
    days: int
    permissions: Sequence[str]
    networks: Sequence[str] = ()


class Granter(NamedTuple):
    """What whoever makes a key may give away, of what there is."""

    permissions: Collection[str]
    registry: Collection[str]


class Keys:
    """The keys in one storage; every change is in the audit trail, in the same transaction."""

    def __init__(self, storage: Storage[Any], prefix: str) -> None:
        self._storage = storage
        self._prefix = prefix

    async def create(self, origin: Origin, wanted: Wanted, granter: Granter) -> tuple[Key, str]:
        """Make a key and return it with its text, which nobody can be shown again."""
        _check(wanted, granter)
        now = now_ms()
        key, text, row = await self._made(origin.project, wanted, now, now + wanted.days * DAY_MS)
        async with self._storage.write() as connection:
            await connection.execute(insert(keys), row)
            await audit.record(connection, origin, "key.create", key.id, _told(key))
        return key, text

    async def of_owner(self, project: str, owner: str) -> Sequence[Key]:
        """All of them, newest first, revoked and expired ones too."""
        return await self._found(keys.c.project == project, keys.c.owner == owner)

    async def of_project(self, project: str) -> Sequence[Key]:
        return await self._found(keys.c.project == project)

    async def revoke(self, origin: Origin, owner: str | None, key_id: str) -> None:
        """Refuse the key from now on; without an owner it may be anybody's of the project. Twice is no mistake."""
        async with self._storage.write() as connection:
            key = await _one(connection, origin.project, owner, key_id)
            if key.state == "revoked":
                return
            await connection.execute(update(keys).where(keys.c.id == key.id).values(revoked_at=now_ms()))
            await audit.record(connection, origin, "key.revoke", key.id, {"owner": key.owner})

    async def revoke_all(self, origin: Origin, owner: str) -> int:
        """Revoke every key of this owner that still works; return how many there were."""
        now = now_ms()
        working = keys.c.revoked_at.is_(None) | (keys.c.revoked_at > now)
        mine = (keys.c.project == origin.project) & (keys.c.owner == owner) & working & (keys.c.expires_at > now)
        async with self._storage.write() as connection:
            ending = update(keys).where(mine).values(revoked_at=now).returning(keys.c.id)
            ended = (await connection.execute(ending)).scalars().all()
            for key_id in ended:
                await audit.record(connection, origin, "key.revoke", key_id, {"owner": owner})
        return len(ended)

    async def rotate(
        self, origin: Origin, owner: str | None, key_id: str, grace_seconds: int, granter: Granter
    ) -> tuple[Key, str]:
        """Make a key like this one; the old one lives on for the grace, and never past its own end."""
        async with self._storage.read() as connection:
            old = await _one(connection, origin.project, owner, key_id)
        wanted = Wanted(old.owner, old.name, DAYS_MOST, old.permissions, old.networks)
        _check_grant(wanted, granter)
        now = now_ms()
        new, text, row = await self._made(old.project, wanted, now, now + old.expires_at - old.created_at)
        ends = min(now + grace_seconds * 1000, old.expires_at)
        works = (keys.c.id == old.id) & keys.c.revoked_at.is_(None) & (keys.c.expires_at > now)
        async with self._storage.write() as connection:
            if (await connection.execute(update(keys).where(works).values(revoked_at=ends))).rowcount == 0:
                raise Conflict("only a key that works and was not rotated yet can be rotated", code="key_not_active")
            await connection.execute(insert(keys), row)
            details = {"owner": old.owner, "replaced_by": new.id, "old_ends_at": ends}
            await audit.record(connection, origin, "key.rotate", old.id, details)
        return new, text

    async def _made(
        self, project: str, wanted: Wanted, now: int, expires_at: int
    ) -> tuple[Key, str, dict[str, object]]:
        text = make_key(self._prefix)
        parsed = parse_key(text, self._prefix)
        assert parsed is not None  # noqa: S101 - what was just made
        key = Key(
            id=secrets.token_hex(LOOKUP_DIGITS // 2),
            name=wanted.name,
            shown=text[:SHOWN],
            owner=wanted.owner,
            project=project,
            permissions=sorted(set(wanted.permissions)),
            networks=list(wanted.networks),
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
            last_used_at=None,
        )
        row = {
            **key._asdict(),
            "permissions": msgspec.json.encode(key.permissions).decode(),
            "networks": msgspec.json.encode(key.networks).decode(),
            "lookup": parsed.lookup,
            "hash": await hashed(parsed.secret),
        }
        return key, text, row

    async def _found(self, *conditions: ColumnElement[bool]) -> Sequence[Key]:
        query = select(keys).where(*conditions).order_by(keys.c.created_at.desc(), keys.c.id)
        async with self._storage.read() as connection:
            return [_key(row) for row in await connection.execute(query)]


async def _one(connection: AsyncConnection, project: str, owner: str | None, key_id: str) -> Key:
    """The key, if it is this owner's; somebody else's is not there, as an unknown one is not."""
    query = select(keys).where(keys.c.id == key_id, keys.c.project == project)
    if owner is not None:
        query = query.where(keys.c.owner == owner)
    row = (await connection.execute(query)).first() if storable(key_id) and storable(owner or "") else None
    if row is None:
        raise NotFound("there is no such key")
    return _key(row)


def _key(row: Row[Any]) -> Key:
    values = {name: row._mapping[name] for name in Key._fields}  # noqa: SLF001 - SQLAlchemy's public name for it
    values["permissions"] = msgspec.json.decode(row.permissions, type=list[str])
    values["networks"] = msgspec.json.decode(row.networks, type=list[str])
    return Key(**values)


def _told(key: Key) -> dict[str, object]:
    told = {"owner": key.owner, "name": key.name, "permissions": key.permissions, "expires_at": key.expires_at}
    return {**told, "networks": key.networks} if key.networks else told


def _check(wanted: Wanted, granter: Granter) -> None:
    if not wanted.name.strip() or len(wanted.name) > NAME_MOST or not storable(wanted.name):
        raise BadRequest(f"a key's name is 1 to {NAME_MOST} characters of text", param="name")
    if not wanted.owner.strip() or len(wanted.owner) > NAME_MOST or not storable(wanted.owner):
        raise BadRequest(f"a key's owner is 1 to {NAME_MOST} characters of text", param="user_id")
    if not 1 <= wanted.days <= DAYS_MOST:
        raise BadRequest(f"a key lives for 1 to {DAYS_MOST} days", param="expires_in_days")
    _check_networks(wanted.networks)
    _check_grant(wanted, granter)


def _check_grant(wanted: Wanted, granter: Granter) -> None:
    strange = unknown(wanted.permissions, granter.registry)
    if strange:
        raise BadRequest(f"there is no permission {strange[0]!r}", code="unknown_permission", param="permissions")
    too_much = beyond(wanted.permissions, granter.permissions)
    if too_much:
        raise Forbidden(f"nobody grants what they do not hold: {too_much[0]!r}", code="beyond_own_rights")


def _check_networks(networks: Sequence[str]) -> None:
    if len(networks) > NETWORKS_MOST:
        raise BadRequest(f"a key may name {NETWORKS_MOST} networks at most", param="allowed_ips")
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            message = f"{network[:60]!r} is no address or network; write 192.0.2.7 or 192.0.2.0/24"
            raise BadRequest(message, param="allowed_ips") from None
