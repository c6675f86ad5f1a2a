"""Deletes a run's oldest events, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, delete, select, update

from agentops.sql.storage import PRUNED_AT_ONCE
from agentops.sql.tables import events, runs

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def prune_some(connection: AsyncConnection, run: int, keep: int) -> int:
    behind_keep = select(events.c.id).where(events.c.run == run).order_by(events.c.id.desc()).limit(1).offset(keep)
    upto = (await connection.execute(behind_keep)).scalar()
    if upto is None:
        return 0
    oldest = select(events.c.id).where(events.c.run == run, events.c.id <= upto).order_by(events.c.id)
    ids = (await connection.execute(oldest.limit(PRUNED_AT_ONCE))).scalars().all()
    gone = await connection.execute(delete(events).where(events.c.run == run, events.c.id <= ids[-1]))
    counted = runs.c.pruned_count + gone.rowcount
    highest = case((runs.c.pruned_to < ids[-1], ids[-1]), else_=runs.c.pruned_to)
    await connection.execute(update(runs).where(runs.c.pk == run).values(pruned_count=counted, pruned_to=highest))
    return gone.rowcount
