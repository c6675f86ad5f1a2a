"""Keys that were made here: of each only a hash is stored, and its row is read on every request.

State, end and rights are therefore never older than the request. Only the proof is remembered, that this secret
matches that hash, for it costs 30 ms; under a key of this process, so that its memory holds no list of keys.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections import OrderedDict
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta
from sqlalchemy import bindparam, text

from agentops.accounts.hashing import matches
from agentops.accounts.key_text import PREFIX, SHOWN, KeyText, parse_key
from agentops.accounts.throttle import Throttle
from agentops.core.errors import Rejected, TooManyRequests
from agentops.core.forever import forever
from agentops.core.identity import Identity
from agentops.core.permissions import ROLES, common
from agentops.core.plugin import Settings
from agentops.core.ports.auth import Authenticator
from agentops.core.records import now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from agentops.core.ports.auth import Caller
    from agentops.core.ports.storage import Storage
    from agentops.core.rungs import Rungs

PROOFS_MOST: Final = 10_000
USE_NOTED_MS: Final = 60_000
"""How old `last_used` may be before it is written again."""

WRONG_MOST: Final = 10
WRONG_SECONDS: Final = 60.0
"""Wrong secrets to one look-up id in a window, before they are refused unhashed."""

_COLUMNS: Final = """
    SELECT k.id, k.shown, k.hash, k.project, k.owner, k.permissions, k.networks, k.expires_at, k.revoked_at,
           k.last_used_at, u.role, u.disabled_at, u.project AS owner_project
    FROM keys k LEFT JOIN users u ON u.id = k.owner
"""
_BY_LOOKUP: Final = f"{_COLUMNS} WHERE k.lookup = ?"
_BY_ID: Final = text(f"{_COLUMNS} WHERE k.id IN :ids").bindparams(bindparam("ids", expanding=True))
_NOTE_USE: Final = text("UPDATE keys SET last_used_at = :at WHERE id = :id")


class HashedKeysSettings(Settings):
    """`use = "hashed-keys"`: keys that `agentops keys create` and the feature `keys` make."""

    prefix: Annotated[str, Meta(pattern=PREFIX)] = "ak_"
    """What each key begins with, so that leaked ones can be searched for; it ends in an underscore."""
    header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")] = "Authorization"
    """Where the key is sent: in `Authorization` behind `Bearer`, in any other header alone."""


class _Row(NamedTuple):
    id: str
    shown: str
    hash: str
    project: str
    owner: str
    permissions: str
    networks: str
    expires_at: int
    revoked_at: int | None
    last_used_at: int | None
    role: str | None
    disabled_at: int | None
    owner_project: str | None

    @property
    def ends_at(self) -> int:
        return self.expires_at if self.revoked_at is None else min(self.expires_at, self.revoked_at)


class HashedKeys(Authenticator[HashedKeysSettings]):
    """Refuses the unknown, the revoked, the expired and the wrong alike."""

    _storage: Storage[Any]

    def __init__(self, settings: HashedKeysSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self._in_authorization = self.settings.header.lower() == "authorization"
        self._process_key = os.urandom(32)
        self._proofs: OrderedDict[str, bytes] = OrderedDict()
        self._proving: dict[bytes, asyncio.Task[bool]] = {}
        self._wrong = Throttle(WRONG_MOST, WRONG_SECONDS)
        self._used: dict[str, int] = {}

    @property
    def prefix(self) -> str:
        return self.settings.prefix

    def credential(self) -> dict[str, str]:
        if self._in_authorization:
            return {"type": "http", "scheme": "bearer"}
        return {"type": "apiKey", "in": "header", "name": self.settings.header}

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._storage = rungs.storage
        self._unwritten = asyncio.Event()
        noting = asyncio.create_task(forever(rungs.signals, "keys.used", self._note_use))
        try:
            yield
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)
            await self._write_use()

    async def authenticate(self, caller: Caller) -> Identity | None:
        presented = self._presented(caller)
        if presented is None:
            return None
        key = parse_key(presented, self.settings.prefix)
        if key is None:
            raise Rejected
        found = await self._storage.read_row(_BY_LOOKUP, key.lookup)
        row = None if found is None else _Row(*found)
        identity = None if row is None or row.shown != presented[:SHOWN] else _identity(row)
        if row is None or identity is None or not _allowed_from(row.networks, caller.peer):
            raise Rejected
        if not await self._proves(key, row.hash):
            raise Rejected
        now = now_ms()
        if row.last_used_at is None or row.last_used_at < now - USE_NOTED_MS:
            self._used[row.id] = now
            self._unwritten.set()
        return identity

    async def withdrawn(self, identities: Collection[Identity]) -> Collection[Identity]:
        """Those whose row, read again, allows something else than it did."""
        ids = [identity.credential.removeprefix("key:") for identity in identities if identity.credential]
        async with self._storage.read() as connection:
            rows = [_Row(*row) for row in await connection.execute(_BY_ID, {"ids": ids})]
        held = {_without_end(identity) for row in rows if (identity := _identity(row)) is not None}
        return [identity for identity in identities if _without_end(identity) not in held]

    def _presented(self, caller: Caller) -> str | None:
        """The text of a key of this prefix; another prefix is another authenticator's."""
        value = caller.header(self.settings.header)
        if value is None:
            return None
        if self._in_authorization:
            scheme, _, value = value.partition(" ")
            if scheme.lower() != "bearer":
                return None
            value = value.strip()
        return value if value.startswith(self.settings.prefix) else None

    async def _proves(self, key: KeyText, stored: str) -> bool:
        """Whether the secret is the one that was hashed; those who ask the same at once share one answer."""
        proof = hmac.digest(self._process_key, f"{stored}\0{key.secret}".encode(), "sha256")
        known = self._proofs.get(key.lookup)
        if known is not None and hmac.compare_digest(known, proof):
            return True
        task = self._proving.get(proof)
        if task is None:
            try:
                self._wrong.take(key.lookup)
            except TooManyRequests:
                return False
            task = asyncio.create_task(self._prove(key, stored, proof))
            self._proving[proof] = task
            task.add_done_callback(lambda _: self._proving.pop(proof, None))
        return await asyncio.shield(task)

    async def _prove(self, key: KeyText, stored: str, proof: bytes) -> bool:
        try:
            right = await matches(stored, key.secret)
        except BaseException:
            self._wrong.give_back(key.lookup)
            raise
        if right:
            self._wrong.give_back(key.lookup)
            self._proofs[key.lookup] = proof
            if len(self._proofs) > PROOFS_MOST:
                self._proofs.popitem(last=False)
        return right

    async def _note_use(self) -> None:
        await self._unwritten.wait()
        self._unwritten.clear()
        await self._write_use()

    async def _write_use(self) -> None:
        used, self._used = self._used, {}
        if used:
            async with self._storage.write() as connection:
                await connection.execute(_NOTE_USE, [{"id": key, "at": at} for key, at in used.items()])


def _identity(row: _Row) -> Identity | None:
    """Who a key is for and what it may do now, if it may do anything."""
    if row.ends_at <= now_ms() or row.disabled_at is not None:
        return None
    if row.role is not None and row.owner_project != row.project:
        return None
    return Identity(
        row.owner, row.project, _rights(row.permissions, row.role), f"key:{row.id}", row.role, row.ends_at / 1000
    )


@lru_cache(maxsize=4096)
def _rights(permissions: str, role: str | None) -> frozenset[str]:
    """What the key was granted; of a user of ours, no more than the role of today."""
    granted = frozenset(msgspec.json.decode(permissions, type=list[str]))
    return granted if role is None else common(granted, ROLES.get(role, frozenset()))


@lru_cache(maxsize=4096)
def _allowed_from(networks: str, peer: str | None) -> bool:
    listed: Sequence[str] = msgspec.json.decode(networks, type=list[str])
    if not listed:
        return True
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in ip_network(network) for network in listed)


def _without_end(identity: Identity) -> Identity:
    """A rotated key ends earlier than it would have; its streams need not end at once."""
    return replace(identity, expires_at=None)
