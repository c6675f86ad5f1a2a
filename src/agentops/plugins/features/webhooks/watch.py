"""Notices what no transaction tells: silent runs, keys about to end, and what the program's signals say."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Text, and_, cast, func, literal, or_, select

from agentops.core.records import DAY_MS, now_ms
from agentops.plugins.features.webhooks.outbox import Notice
from agentops.sql.tables import deliveries, keys, projects, runs, webhooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select

    from agentops.core.health import HealthChecks
    from agentops.core.ports.storage import Storage
    from agentops.plugins.features.webhooks.ear import Ear
    from agentops.plugins.features.webhooks.kinds import Kind
    from agentops.plugins.features.webhooks.outbox import Outbox

STEP_SECONDS: Final = 15.0
SILENCE_SECONDS: Final = 60.0
"""How often silent runs are looked for: it costs a look at every run that is `running`."""
AT_ONCE: Final = 500
"""Runs or keys told of in one step; what is more follows in the next."""


class Mark(NamedTuple):
    """How far the database was at a moment: its newest event, and its newest run."""

    at: float
    event: int
    run: int


class Watch:
    """Its step looks once, and puts out what was heard since the last."""

    def __init__(
        self,
        storage: Storage[Any],
        outbox: Outbox,
        health: HealthChecks,
        ear: Ear,
        *,
        stalled_seconds: float,
        expiring_days: int,
    ) -> None:
        self._storage = storage
        self._outbox = outbox
        self._health = health
        self._ear = ear
        self._stalled_seconds = stalled_seconds
        self._expiring_days = expiring_days
        self._marks: deque[Mark] = deque()
        self._looked_at = -math.inf

    async def step(self) -> None:
        await self._health.report()  # a change of health is heard only where somebody asks for it
        heard = self._ear.heard()
        await self._outbox.tell(heard)
        self._ear.forget(heard)
        await self._outbox.tell([*await self._stalled(), *await self._expiring()])
        await self._ear.wait(STEP_SECONDS)

    async def _stalled(self) -> Sequence[Notice]:
        """Judged by ids, which only grow, and not by times, which a clock may take back."""
        if not self._stalled_seconds or time.monotonic() - self._looked_at < min(
            SILENCE_SECONDS, self._stalled_seconds
        ):
            return []
        self._looked_at = time.monotonic()
        mark = await self._mark_back_then()
        if mark is None:
            return []
        silent = or_(
            and_(runs.c.last_id > 0, runs.c.last_id <= mark.event), and_(runs.c.last_id == 0, runs.c.pk <= mark.run)
        )
        query = (
            select(runs)
            .join_from(runs, projects, projects.c.pk == runs.c.project)
            .where(runs.c.status == "running", silent)
        )
        silence = cast(runs.c.pk, Text) + " " + cast(runs.c.last_id, Text)
        return [
            Notice("run.stalled", _run_data(row, self._stalled_seconds), row["told_project"], row["told_once"])
            for row in await self._untold("run.stalled", query, projects.c.name, silence)
        ]

    async def _mark_back_then(self) -> Mark | None:
        """How far everything was when it became long enough ago; nothing while this process is younger than that."""
        async with self._storage.read() as connection:
            newest_run = (await connection.execute(select(func.max(runs.c.pk)))).scalar() or 0
        now = time.monotonic()
        self._marks.append(Mark(now, await self._storage.last_id(), newest_run))
        back_then = None
        while self._marks and self._marks[0].at <= now - self._stalled_seconds:
            back_then = self._marks.popleft()
        return back_then

    async def _expiring(self) -> Sequence[Notice]:
        """A key that was made for less than these days is expected to end."""
        now, ahead = now_ms(), self._expiring_days * DAY_MS
        query = select(keys).where(
            keys.c.revoked_at.is_(None),
            keys.c.expires_at.between(now, now + ahead),
            keys.c.expires_at - keys.c.created_at > ahead,
        )
        return [
            Notice("key.expiring", _key_data(row), row["told_project"], row["told_once"])
            for row in await self._untold("key.expiring", query, keys.c.project, keys.c.id)
        ]

    async def _untold(
        self, kind: Kind, chosen: Select[Any], project: ColumnElement[str], thing: ColumnElement[str]
    ) -> Sequence[RowMapping]:
        """Of these, those that somebody subscribed to and was not told of; `thing` names what is told of once."""
        once = literal(f"{kind} ") + thing
        wanted = and_(
            webhooks.c.project == project, webhooks.c.disabled_at.is_(None), webhooks.c.kinds.contains(f'"{kind}"')
        )
        told = select(deliveries.c.id).where(deliveries.c.webhook == webhooks.c.id, deliveries.c.once == once)
        named = chosen.add_columns(project.label("told_project"), once.label("told_once"))
        query = named.join(webhooks, wanted).where(~told.exists()).distinct().limit(AT_ONCE)
        async with self._storage.read() as connection:
            return list((await connection.execute(query)).mappings())


def _run_data(row: RowMapping, silent_seconds: float) -> dict[str, object]:
    return {
        "run": row["name"],
        "title": row["title"],
        "status": row["status"],
        "startedAt": row["started_at"],
        "eventCount": row["event_count"],
        "silentSeconds": silent_seconds,
    }


def _key_data(row: RowMapping) -> dict[str, object]:
    return {"key_id": row["id"], "name": row["name"], "owner": row["owner"], "expires_at": row["expires_at"]}
