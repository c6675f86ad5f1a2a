"""Queries about runs, the same on every database; an unknown or impossible name is simply not found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, Select, and_, case, func, literal, or_, select, text, tuple_, update

from agentops.core.errors import BadRequest
from agentops.core.records import Run, Status, now_ms
from agentops.sql.tables import projects, runs
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.core.ports.storage import RunQuery

_COLUMNS: Final = (runs.c.name, runs.c.title, runs.c.status, runs.c.started_at, runs.c.ended_at, runs.c.event_count)

MAKE_PROJECT: Final = "INSERT INTO projects (name) VALUES (:project) ON CONFLICT (name) DO NOTHING"
MAKE_RUN: Final = (
    "INSERT INTO runs (project, name, title, status, started_at, ended_at)"
    " SELECT pk, :name, :title, :status, :started_at, :ended_at FROM projects WHERE name = :project"
    " ON CONFLICT (project, name) DO NOTHING RETURNING pk"
)


async def create(connection: AsyncConnection, project: str, run: str, title: str, status: Status) -> tuple[Run, bool]:
    if not _nameable(project, run):
        raise BadRequest("a run's id must be text without NUL", param="id")
    _require_storable(title)
    now = now_ms()
    values = {
        "project": project,
        "name": run,
        "title": title,
        "status": status,
        "started_at": now,
        "ended_at": None if status == "running" else now,
    }
    await connection.execute(text(MAKE_PROJECT), {"project": project})
    made = (await connection.execute(text(MAKE_RUN), values)).first() is not None
    found = await get(connection, project, run)
    if found is None:
        raise LookupError(f"run {run!r} vanished while it was made")
    return found, made


async def key_of(connection: AsyncConnection, project: str, run: str) -> int | None:
    if not _nameable(project, run):
        return None
    key: int | None = (await connection.execute(select(_run_pk(project, run)))).scalar()
    return key


async def get(connection: AsyncConnection, project: str, run: str) -> Run | None:
    if not _nameable(project, run):
        return None
    row = (await connection.execute(_one(project, run))).first()
    return _run(row) if row is not None else None


async def change(
    connection: AsyncConnection, project: str, run: str, title: str | None, status: Status | None
) -> Run | None:
    if not _nameable(project, run):
        return None
    values: dict[str, Any] = {}
    if title is not None:
        _require_storable(title)
        values["title"] = title
    if status is not None:
        values["status"] = status
        values["ended_at"] = ended_at(status)
    if not values:
        return await get(connection, project, run)
    mine = and_(runs.c.project == _project_pk(project), runs.c.name == run)
    row = (await connection.execute(update(runs).where(mine).values(values).returning(*_COLUMNS))).first()
    return _run(row) if row is not None else None


def ended_at(status: Status) -> ColumnElement[Any]:
    """A run ends when it leaves `running`, stays ended as of then, and is not ended when it runs again."""
    if status == "running":
        return literal(None)
    return case((runs.c.ended_at.is_(None), now_ms()), else_=runs.c.ended_at)


async def listed(connection: AsyncConnection, project: str, query: RunQuery) -> Sequence[Run]:
    if not storable(project) or not (query.text is None or storable(query.text)):
        return []
    chosen = select(*_COLUMNS).where(runs.c.project == _project_pk(project))
    if query.before is not None:
        chosen = chosen.where(await _before(connection, project, query.before))
    if query.status is not None:
        chosen = chosen.where(runs.c.status == query.status)
    if query.text:
        chosen = chosen.where(
            or_(
                runs.c.title.icontains(query.text, autoescape=True),
                runs.c.name.icontains(query.text, autoescape=True),
            )
        )
    newest_first = chosen.order_by(runs.c.started_at.desc(), runs.c.pk.desc()).limit(query.limit)
    return [_run(row) for row in await connection.execute(newest_first)]


async def _before(connection: AsyncConnection, project: str, before: str) -> ColumnElement[bool]:
    if storable(before):
        place = select(runs.c.started_at, runs.c.pk).where(
            runs.c.project == _project_pk(project), runs.c.name == before
        )
        row = (await connection.execute(place)).first()
        if row is not None:
            return tuple_(runs.c.started_at, runs.c.pk) < tuple_(literal(row.started_at), literal(row.pk))
    if re.fullmatch(r"[0-9]{1,18}", before):
        return runs.c.started_at < int(before)
    raise BadRequest("`before` is neither a run's id nor a time", code="invalid_cursor", param="before")


async def pruned_to(connection: AsyncConnection, project: str) -> int:
    """The highest id that retention removed from any run of the project."""
    if not storable(project):
        return 0
    highest = select(func.max(runs.c.pruned_to)).where(runs.c.project == _project_pk(project))
    return (await connection.execute(highest)).scalar() or 0


async def overfull(connection: AsyncConnection, keep: int) -> Sequence[tuple[str, str]]:
    chosen = (
        select(projects.c.name, runs.c.name)
        .join_from(runs, projects, projects.c.pk == runs.c.project)
        .where(runs.c.event_count - runs.c.pruned_count > keep)
    )
    return [(row[0], row[1]) for row in await connection.execute(chosen)]


def _nameable(project: str, run: str) -> bool:
    return storable(project) and storable(run)


def _require_storable(title: str) -> None:
    if not storable(title):
        raise BadRequest("a run's title must be text without NUL", param="title")


def _project_pk(project: str) -> ColumnElement[int]:
    return select(projects.c.pk).where(projects.c.name == project).scalar_subquery()


def _run_pk(project: str, run: str) -> ColumnElement[int]:
    return select(runs.c.pk).where(runs.c.project == _project_pk(project), runs.c.name == run).scalar_subquery()


def _one(project: str, run: str) -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS).where(runs.c.project == _project_pk(project), runs.c.name == run)


def _run(row: Row[*tuple[Any, ...]]) -> Run:
    return Run(
        id=row.name,
        title=row.title,
        status=row.status,
        started_at=row.started_at,
        ended_at=row.ended_at,
        event_count=row.event_count,
    )
