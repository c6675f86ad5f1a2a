"""What calls have used, added up by day and by whatever else is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from sqlalchemy import func, select

from agentops.sql.tables import usage as table
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentops.core.ports.storage import Storage

Part = Literal["project", "day", "subject", "credential", "model", "provider"]
COUNTED: Final = ("calls", "failed", "input", "cached", "written", "output", "cost")
ROWS_MOST: Final = 10_000


class UsageQuery(NamedTuple):
    """Whose usage, from one day to another and with both, of whom alone, and by what; days read 2026-01-31."""

    project: str
    since: str | None = None
    until: str | None = None
    subject: str | None = None
    credential: str | None = None
    model: str | None = None
    provider: str | None = None
    by: Sequence[Part] = ("day",)
    limit: int = ROWS_MOST


class UsageRow(NamedTuple):
    """What was used; `parts` holds what it was asked by."""

    parts: Mapping[Part, str]
    calls: int
    failed: int
    input: int
    cached: int
    written: int
    output: int
    cost: int


async def usage(storage: Storage[Any], query: UsageQuery) -> Sequence[UsageRow]:
    """In the order of what it is asked by; one row without any, also when nothing was used."""
    named = {name: getattr(query, name) for name in ("project", "subject", "credential", "model", "provider")}
    if not all(storable(value) for value in (*named.values(), query.since, query.until) if value is not None):
        return []
    columns = [table.c[part] for part in query.by]
    sums = [func.coalesce(func.sum(table.c[name]), 0) for name in COUNTED]
    wanted = select(*columns, *sums).group_by(*columns).order_by(*columns).limit(query.limit)
    for name, value in named.items():
        if value is not None:
            wanted = wanted.where(table.c[name] == value)
    if query.since is not None:
        wanted = wanted.where(table.c.day >= query.since)
    if query.until is not None:
        wanted = wanted.where(table.c.day <= query.until)
    async with storage.read() as connection:
        rows = (await connection.execute(wanted)).all()
    width = len(columns)
    return [UsageRow(dict(zip(query.by, row[:width], strict=True)), *map(int, row[width:])) for row in rows]
