"""Keys that users have at providers of models: sealed by a ring, used for their calls, and never shown again."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, delete, select, text, true, update

from agentops.accounts import audit
from agentops.accounts.ring import Sealed, UnopenableError
from agentops.accounts.throttle import Throttle
from agentops.core.errors import BadRequest, NotFound, Refusal
from agentops.core.ports.storage import Statement
from agentops.core.records import now_ms
from agentops.core.secret import Secret
from agentops.sql.tables import provider_keys
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.audit import Origin
    from agentops.accounts.ring import Ring
    from agentops.core.ports.storage import Storage
    from agentops.core.signals import Signals

SHOWN: Final = 4
SHORTEST: Final = 16
"""Of what is shorter too much would be shown; no provider's keys are."""
LONGEST: Final = 500
NOTED_EVERY_MS: Final = 60_000
AT_ONCE: Final = 100
"""So many are sealed anew in one transaction."""

_KEY: Final = re.compile(rf"[!-~]{{{SHORTEST},{LONGEST}}}\Z")
_NONE: Final = "there is no such key"
_OF: Final = "SELECT provider, ring, sealed FROM provider_keys WHERE project = ? AND owner = ?"
_PUT: Final = text("""
    INSERT INTO provider_keys (project, owner, provider, ring, sealed, shown, created_at)
    VALUES (:project, :owner, :provider, :ring, :sealed, :shown, :created_at)
    ON CONFLICT (project, owner, provider) DO UPDATE SET
        ring = excluded.ring, sealed = excluded.sealed, shown = excluded.shown,
        created_at = excluded.created_at, last_used_at = NULL
""")
_USED: Final = """
    UPDATE provider_keys SET last_used_at = ?
    WHERE project = ? AND owner = ? AND provider = ? AND (last_used_at IS NULL OR last_used_at <= ?)
"""


class OwnKey(NamedTuple):
    """A key as it may be seen: its last letters, and which key of the ring sealed it. Times are epoch milliseconds."""

    project: str
    owner: str
    provider: str
    shown: str
    ring: str
    created_at: int
    last_used_at: int | None


class Resealed(NamedTuple):
    """What came of sealing all of them anew."""

    anew: int
    unreadable: Sequence[OwnKey]


class UnreadableKey(Refusal):
    """The caller's own key for a provider cannot be read any more; the provider was not asked with another."""

    status, code, title = 403, "own_key_unreadable", "The key cannot be read"


class OwnKeys:
    """Those in one storage; every change is in the audit trail, in the same transaction."""

    def __init__(self, storage: Storage[Any], ring: Ring, signals: Signals | None = None) -> None:
        self._storage = storage
        self._ring = ring
        self._signals = signals
        self._told = Throttle(1, NOTED_EVERY_MS / 1000)
        self._noted = Throttle(1, NOTED_EVERY_MS / 1000)

    async def put(self, origin: Origin, owner: str, provider: str, key: Secret) -> OwnKey:
        """Keep it in the place of the one that this owner had there, if any."""
        _check(origin.project, owner, key)
        sealed = self._ring.seal(key.reveal(), _what_for(origin.project, owner, provider))
        made = OwnKey(origin.project, owner, provider, key.reveal()[-SHOWN:], sealed.ring, now_ms(), None)
        async with self._storage.write() as connection:
            await connection.execute(_PUT, made._asdict() | {"sealed": sealed.text})
            details = {"owner": owner, "shown": made.shown}
            await audit.record(connection, origin, "provider_key.put", provider, details)
        return made

    async def delete(self, origin: Origin, owner: str, provider: str) -> None:
        if not (storable(origin.project) and storable(owner)):
            raise NotFound(_NONE)
        async with self._storage.write() as connection:
            if not await _deleted(connection, origin.project, owner, provider):
                raise NotFound(_NONE)
            await audit.record(connection, origin, "provider_key.delete", provider, {"owner": owner})

    async def of_owner(self, project: str, owner: str) -> Sequence[OwnKey]:
        return await listed(self._storage, project, owner)

    async def found(self, project: str, owner: str, providers: Collection[str]) -> dict[str, Secret]:
        """This owner's keys at these providers, as they are now.

        One that cannot be read is no reason to take another: its owner would pay for what should cost nothing.
        """
        if not (storable(project) and storable(owner)):
            return {}
        rows = await self._storage.read_rows(_OF, project, owner)
        return {
            provider: Secret(self._opened(project, owner, provider, Sealed(ring, sealed)))
            for provider, ring, sealed in rows
            if provider in providers
        }

    def used(self, project: str, owner: str, provider: str) -> Sequence[Statement]:
        """What notes that a key is used now; nothing when that was noted within the minute."""
        now = now_ms()
        if not self._noted.admits(_name_of(project, owner, provider)):
            return []
        return [Statement(_USED, [now, project, owner, provider, now - NOTED_EVERY_MS])]

    def _opened(self, project: str, owner: str, provider: str, sealed: Sealed) -> str:
        try:
            return self._ring.open(sealed, _what_for(project, owner, provider))
        except UnopenableError as error:
            if self._signals is not None and self._told.admits(_name_of(project, owner, provider)):
                self._signals.event(
                    "provider_key.unreadable", "error", project=project, provider=provider, reason=str(error)
                )
        raise UnreadableKey(f"your own key for {provider!r} cannot be read any more: store it again, or delete it")


async def listed(storage: Storage[Any], project: str | None, owner: str | None = None) -> Sequence[OwnKey]:
    """Those of an owner, a project, or all of them."""
    if not (storable(project or "") and storable(owner or "")):
        return []
    order = provider_keys.c.project, provider_keys.c.owner, provider_keys.c.provider
    query = select(provider_keys).where(_of(project, owner)).order_by(*order)
    async with storage.read() as connection:
        return [_key(row) for row in (await connection.execute(query)).mappings()]


async def reseal(storage: Storage[Any], ring: Ring, origin_in: Callable[[str], Origin]) -> Resealed:
    """Seal all with the ring's first key that another one sealed; begun again, it goes on where it ended.

    What somebody replaces or deletes meanwhile is left as they want it.
    """
    anew, unreadable = 0, list[OwnKey]()
    after = 0
    while rows := await _sealed_by_others(storage, ring, after):
        after = rows[-1]["id"]
        changes: list[tuple[RowMapping, Sealed]] = []
        for row in rows:
            what_for = _what_for(row["project"], row["owner"], row["provider"])
            try:
                key = ring.open(Sealed(row["ring"], row["sealed"]), what_for)
            except UnopenableError:
                unreadable.append(_key(row))
            else:
                changes.append((row, ring.seal(key, what_for)))
        anew += await _replaced(storage, changes, ring.first, origin_in)
    return Resealed(anew, unreadable)


async def _sealed_by_others(storage: Storage[Any], ring: Ring, after: int) -> Sequence[RowMapping]:
    query = (
        select(provider_keys)
        .where(provider_keys.c.ring != ring.first, provider_keys.c.id > after)
        .order_by(provider_keys.c.id)
        .limit(AT_ONCE)
    )
    async with storage.read() as connection:
        return (await connection.execute(query)).mappings().all()


async def _replaced(
    storage: Storage[Any], changes: Sequence[tuple[RowMapping, Sealed]], name: str, origin_in: Callable[[str], Origin]
) -> int:
    done: Counter[str] = Counter()
    async with storage.write() as connection:
        for row, sealed in changes:
            change = (
                update(provider_keys)
                .where(provider_keys.c.id == row["id"], provider_keys.c.sealed == row["sealed"])
                .values(ring=sealed.ring, sealed=sealed.text)
            )
            done[row["project"]] += (await connection.execute(change)).rowcount
        for project, number in done.items():
            if number:
                details = {"keys": number}
                await audit.record(connection, origin_in(project), "provider_key.reseal", name, details)
    return done.total()


async def _deleted(connection: AsyncConnection, project: str, owner: str, provider: str) -> bool:
    """Somebody may send the key itself in place of a name, and statements with their values are what a driver logs."""
    query = select(provider_keys.c.id, provider_keys.c.provider).where(_of(project, owner))
    ids = [row.id for row in await connection.execute(query) if row.provider == provider]
    change = delete(provider_keys).where(provider_keys.c.id.in_(ids))
    return (await connection.execute(change)).rowcount > 0


def _of(project: str | None, owner: str | None) -> ColumnElement[bool]:
    whose = ((provider_keys.c.project, project), (provider_keys.c.owner, owner))
    return and_(true(), *(column == name for column, name in whose if name is not None))


def _key(row: RowMapping) -> OwnKey:
    return OwnKey(**{name: row[name] for name in OwnKey._fields})


def _name_of(project: str, owner: str, provider: str) -> str:
    return f"{project}\0{owner}\0{provider}"


def _what_for(project: str, owner: str, provider: str) -> Sequence[str]:
    """A row that is moved to another place opens no more."""
    return ["provider_keys", project, owner, provider]


def _check(project: str, owner: str, key: Secret) -> None:
    if not (storable(project) and storable(owner)):
        raise BadRequest("a name is text without NUL", param="project")
    if _KEY.match(key.reveal()) is None:
        message = f"a provider's key is {SHORTEST} to {LONGEST} letters, digits and signs, without blanks"
        raise BadRequest(message, param="api_key")
