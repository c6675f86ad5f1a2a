"""The audit trail: who did what, on what, from where, and how it ended; written in the transaction of the change."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import insert, select

from agentops.core.ports.storage import Statement
from agentops.core.records import now_ms
from agentops.sql.tables import audit
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.core.ports.storage import Storage
    from agentops.core.signals import Signals

EXPORTED_AT_ONCE: Final = 1_000
NUMBER_MOST: Final = 2**63 - 1
TEXT_MOST: Final = 300
"""What strangers send, a name they try to sign in with, is kept as far as it helps to find them."""


class Origin(NamedTuple):
    """Who does something, and from where."""

    project: str
    actor: str
    credential: str | None = None
    lane: str = ""
    address: str | None = None
    request_id: str | None = None
    signals: Signals | None = None
    """Who else is to be told of what is done: over HTTP, the log."""


class Entry(msgspec.Struct, rename="camel"):
    """A row of the trail, as it is read."""

    id: str
    at: int
    project: str
    lane: str
    actor: str
    credential: str | None
    action: str
    target: str
    outcome: str
    reason: str
    address: str | None
    request_id: str | None
    details: msgspec.Raw


class Filter(NamedTuple):
    """Which rows are wanted, newest first; `before` is the id of the last one seen."""

    limit: int
    before: int | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: int | None = None
    until: int | None = None


async def record(
    connection: AsyncConnection,
    origin: Origin,
    action: str,
    target: str,
    details: Mapping[str, object] = MappingProxyType({}),
    *,
    outcome: str = "ok",
    reason: str = "",
) -> None:
    """Add a row. The details must hold no secret: names, ids, and what was granted."""
    await connection.execute(insert(audit), _row(origin, action, target, details, outcome=outcome, reason=reason))
    tell(origin, action, target, outcome=outcome, reason=reason)


def statement(origin: Origin, action: str, target: str, details: Mapping[str, object]) -> Statement:
    """Add a row by an append; `tell` is for when it is committed."""
    row = _row(origin, action, target, details)
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    return Statement(f"INSERT INTO audit ({columns}) VALUES ({marks})", [*row.values()])  # noqa: S608 - our columns


def tell(origin: Origin, action: str, target: str, *, outcome: str = "ok", reason: str = "") -> None:
    """Tell whoever else is to hear of it."""
    if origin.signals is not None:
        said = {"target": _kept(target), "actor": _kept(origin.actor), "outcome": outcome, "reason": reason}
        origin.signals.event(action, "info" if outcome == "ok" else "warning", **said)


async def page(storage: Storage[Any], project: str, wanted: Filter) -> Sequence[Entry]:
    query = select(audit).order_by(audit.c.id.desc()).limit(wanted.limit)
    for name in ("actor", "action", "target", "outcome"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(audit.c[name] == _kept(value))
    if wanted.before is not None:
        query = query.where(audit.c.id < _number(wanted.before))
    if wanted.since is not None:
        query = query.where(audit.c.at >= _number(wanted.since))
    if wanted.until is not None:
        query = query.where(audit.c.at < _number(wanted.until))
    return await _read(storage, query, project)


async def everything(storage: Storage[Any], project: str | None) -> AsyncIterator[Entry]:
    """The whole trail, oldest first, of one project or of all; a page at a time, so that it may be large."""
    after = 0
    while True:
        query = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(EXPORTED_AT_ONCE)
        entries = await _read(storage, query, project)
        for entry in entries:
            yield entry
        if len(entries) < EXPORTED_AT_ONCE:
            return
        after = int(entries[-1].id)


async def _read(storage: Storage[Any], query: Select[Any], project: str | None) -> Sequence[Entry]:
    if project is not None:
        if not storable(project):
            return []
        query = query.where(audit.c.project == project)
    async with storage.read() as connection:
        return [_entry(row) for row in (await connection.execute(query)).mappings()]


def _row(
    origin: Origin, action: str, target: str, details: Mapping[str, object], *, outcome: str = "ok", reason: str = ""
) -> dict[str, str | int | None]:
    return {
        "at": now_ms(),
        "project": origin.project,
        "lane": origin.lane,
        "actor": _kept(origin.actor),
        "credential": _kept(origin.credential),
        "action": action,
        "target": _kept(target),
        "outcome": outcome,
        "reason": reason,
        "address": _kept(origin.address),
        "request_id": _kept(origin.request_id),
        "details": msgspec.json.encode(dict(details)).decode(),
    }


def _entry(row: RowMapping) -> Entry:
    values: dict[str, Any] = {**row, "id": str(row["id"]), "details": msgspec.Raw(row["details"].encode())}
    return Entry(**values)


def _kept(text: str | None) -> str | None:
    if text is None:
        return None
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:TEXT_MOST])


def _number(asked: int) -> int:
    """What is asked for may be larger than any number that a database can compare."""
    return max(-NUMBER_MOST, min(asked, NUMBER_MOST))
