"""Deletes a run's oldest events, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, text

from agentops.sql.storage import PRUNED_AT_ONCE
from agentops.sql.tables import events

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

# What is not above `pruned_to` was counted when its part was about to be dropped, or by another instance.
_COUNT: Final = text("""
    UPDATE runs SET
        pruned_count = pruned_count + (SELECT count(*) FROM unnest(CAST(:ids AS BIGINT[])) AS id WHERE id > pruned_to),
        pruned_to = greatest(pruned_to, :upto)
    WHERE pk = :run
""")


async def prune_some(connection: AsyncConnection, run: int, keep: int) -> int:
    behind_keep = select(events.c.id).where(events.c.run == run).order_by(events.c.id.desc()).limit(1).offset(keep)
    upto = (await connection.execute(behind_keep)).scalar()
    if upto is None:
        return 0
    oldest = select(events.c.id).where(events.c.run == run, events.c.id <= upto).order_by(events.c.id)
    ids = (await connection.execute(oldest.limit(PRUNED_AT_ONCE))).scalars().all()
    if not ids:  # another instance deleted them meanwhile
        return 0
    gone = await connection.execute(delete(events).where(events.c.run == run, events.c.id <= ids[-1]))
    await connection.execute(_COUNT, {"ids": list(ids), "upto": ids[-1], "run": run})
    return gone.rowcount
