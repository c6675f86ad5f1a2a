"""Webhooks: who subscribed to what, where it is sent, and the secrets that sign it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import delete, func, insert, select, update

from agentops.accounts import audit
from agentops.core.errors import BadRequest, Conflict, NotFound
from agentops.core.records import now_ms
from agentops.plugins.features.webhooks.signing import new_secret
from agentops.sql.tables import deliveries, webhooks
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.audit import Origin
    from agentops.core.ports.storage import Storage
    from agentops.plugins.features.webhooks.writing import Format

MOST: Final = 100
"""Of one project: each is told of everything it subscribed to in the transaction in which it happens."""

_ID_PREFIX: Final = "whk_"
_ID_BYTES: Final = 8


class Webhook(NamedTuple):
    """A subscription; times are epoch milliseconds."""

    id: str
    project: str
    url: str
    kinds: Sequence[str]
    format: Format
    description: str
    secret: str
    previous_secret: str | None
    previous_until: int | None
    created_at: int
    disabled_at: int | None
    disabled_because: str | None

    def secrets(self, now: int) -> list[str]:
        """Those that sign: after a rotation the old one as well, for as long as was asked for."""
        if self.previous_secret is not None and now < (self.previous_until or 0):
            return [self.secret, self.previous_secret]
        return [self.secret]

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def shown(self) -> str:
        """The address without what may be a credential: the path of a chat's, and whatever stands behind a `?`."""
        parts = urlsplit(self.url)
        path = "/…" if self.format == "slack" else parts.path
        return f"{parts.scheme}://{parts.netloc}{path}{'?…' if parts.query else ''}"


class Subscriptions:
    """The webhooks in one storage; every change is in the audit trail, in the same transaction."""

    def __init__(self, storage: Storage[Any]) -> None:
        self._storage = storage

    async def create(
        self, origin: Origin, url: str, kinds: Sequence[str], format_: Format, description: str
    ) -> Webhook:
        webhook = _checked(
            Webhook(
                id=_ID_PREFIX + secrets.token_hex(_ID_BYTES),
                project=origin.project,
                url=url,
                kinds=kinds,
                format=format_,
                description=description,
                secret=new_secret(),
                previous_secret=None,
                previous_until=None,
                created_at=now_ms(),
                disabled_at=None,
                disabled_because=None,
            )
        )
        async with self._storage.write() as connection:
            count = select(func.count()).select_from(webhooks).where(webhooks.c.project == origin.project)
            if (await connection.execute(count)).scalar_one() >= MOST:
                raise Conflict(f"a project has {MOST} webhooks at most", code="too_many_webhooks")
            await connection.execute(insert(webhooks), _row(webhook))
            await _record(connection, origin, "webhook.create", webhook)
        return webhook

    async def of_project(self, project: str) -> Sequence[Webhook]:
        if not storable(project):
            return []
        query = select(webhooks).where(webhooks.c.project == project).order_by(webhooks.c.created_at, webhooks.c.id)
        async with self._storage.read() as connection:
            return [_webhook(row) for row in (await connection.execute(query)).mappings()]

    async def one(self, project: str, webhook_id: str) -> Webhook:
        async with self._storage.read() as connection:
            return await _one(connection, project, webhook_id)

    async def by_id(self, webhook_id: str) -> Webhook | None:
        """Of whatever project."""
        async with self._storage.read() as connection:
            found = await connection.execute(select(webhooks).where(webhooks.c.id == webhook_id))
            row = found.mappings().first()
        return _webhook(row) if row is not None else None

    async def change(self, origin: Origin, webhook_id: str, changed: dict[str, Any]) -> Webhook:
        """Set these fields, by their names."""
        async with self._storage.write() as connection:
            before = await _one(connection, origin.project, webhook_id, to_change=True)
            webhook = _checked(before._replace(**changed))
            if webhook != before:
                values = {name: value for name, value in _row(webhook).items() if name in changed}
                await connection.execute(update(webhooks).where(webhooks.c.id == before.id).values(values))
                await _record(connection, origin, "webhook.change", webhook)
        return webhook

    async def rotate(self, origin: Origin, webhook_id: str, grace_seconds: int) -> Webhook:
        """Give it a new secret; the old one signs as well while the grace lasts, and no longer without one."""
        async with self._storage.write() as connection:
            before = await _one(connection, origin.project, webhook_id, to_change=True)
            if grace_seconds and len(before.secrets(now_ms())) > 1:
                raise Conflict(
                    "the secret before this one still signs, as was promised: wait, or ask for a grace of 0 seconds",
                    code="rotation_under_way",
                )
            values: dict[str, Any] = {
                "secret": new_secret(),
                "previous_secret": before.secret if grace_seconds else None,
                "previous_until": now_ms() + grace_seconds * 1000,
            }
            await connection.execute(update(webhooks).where(webhooks.c.id == before.id).values(values))
            await _record(connection, origin, "webhook.rotate", before)
        return before._replace(**values)

    async def remove(self, origin: Origin, webhook_id: str) -> None:
        """With everything that was or is to be delivered to it."""
        async with self._storage.write() as connection:
            webhook = await _one(connection, origin.project, webhook_id, to_change=True)
            await connection.execute(delete(deliveries).where(deliveries.c.webhook == webhook.id))
            await connection.execute(delete(webhooks).where(webhooks.c.id == webhook.id))
            await _record(connection, origin, "webhook.remove", webhook)

    async def give_up(self, webhook: Webhook, because: str) -> None:
        """Its target wants nothing any more; it may lead to another by now."""
        mine = update(webhooks).where(webhooks.c.id == webhook.id, webhooks.c.url == webhook.url)
        async with self._storage.write() as connection:
            await connection.execute(mine.values(disabled_at=now_ms(), disabled_because=because))


async def _one(connection: AsyncConnection, project: str, webhook_id: str, *, to_change: bool = False) -> Webhook:
    query: Select[Any] = select(webhooks).where(webhooks.c.project == project, webhooks.c.id == webhook_id)
    if to_change:
        query = query.with_for_update()
    possible = storable(project) and storable(webhook_id)
    row = (await connection.execute(query)).mappings().first() if possible else None
    if row is None:
        raise NotFound("there is no such webhook")
    return _webhook(row)


def _checked(webhook: Webhook) -> Webhook:
    """As it may be stored, with every kind once."""
    if not storable(webhook.description):
        raise BadRequest("a description must be text without NUL", param="description")
    return webhook._replace(kinds=list(dict.fromkeys(webhook.kinds)))


def _webhook(row: RowMapping) -> Webhook:
    values: dict[str, Any] = {name: row[name] for name in Webhook._fields}
    values["kinds"] = msgspec.json.decode(row["kinds"], type=list[str])
    return Webhook(**values)


def _row(webhook: Webhook) -> dict[str, Any]:
    return {**webhook._asdict(), "kinds": msgspec.json.encode(webhook.kinds).decode()}


async def _record(connection: AsyncConnection, origin: Origin, action: str, webhook: Webhook) -> None:
    details = {"host": webhook.host, "events": webhook.kinds, "enabled": webhook.disabled_at is None}
    await audit.record(connection, origin, action, webhook.id, details)
