"""Reads a database in the order of an export, from its start or from behind what was exported before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from agentops.cli.failures import Failure
from agentops.cli.transfer.records import event_line, run_line
from agentops.core.identity import DEFAULT_PROJECT
from agentops.core.ports.storage import PageQuery, RunQuery
from agentops.core.records import EventSplicer
from agentops.sql.storage import SqlStorage
from agentops.sql.tables import events, projects, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from agentops.core.ports.storage import Storage
    from agentops.core.records import Run, StoredEvent

PAGE_EVENTS: Final = 1000
PAGE_BYTES: Final = 4 * 1024 * 1024
PAGE_RUNS: Final = 500


class Selection(NamedTuple):
    """What to export; no project is all of them, and no run is all of each."""

    project: str | None
    runs: Sequence[str]


class Place(NamedTuple):
    """Behind which line to go on."""

    project: str
    run: str
    event: int


class Part(NamedTuple):
    """Some lines, and what is in them."""

    text: bytes
    runs: int
    events: int


async def parts(storage: Storage, selection: Selection, place: Place | None) -> AsyncIterator[Part]:
    """A run, then its events, oldest first; runs newest first; projects by name."""
    for project in await _projects(storage, selection, place):
        begin = place if place is not None and place.project == project else None
        if begin is not None:
            async for part in _events(storage, project, begin.run, begin.event):
                yield part
        async for run in _runs(storage, project, selection.runs, begin):
            yield Part(run_line(project, run), 1, 0)
            async for part in _events(storage, project, run.id, 0):
                yield part


async def _projects(storage: Storage, selection: Selection, place: Place | None) -> list[str]:
    every_run = -1
    known = sorted({project for project, _ in await storage.overfull(every_run)})
    chosen = known if selection.project is None else [selection.project]
    if selection.runs and selection.project is None:
        chosen = [DEFAULT_PROJECT]
    for project in chosen:
        if project not in known:
            raise Failure(f"no project is called {project!r}; there are: {', '.join(known) or 'none'}")
    if place is None:
        return chosen
    if place.project not in chosen:
        raise Failure(f"the file ends in project {place.project!r}, which is not among what is to be exported")
    return chosen[chosen.index(place.project) :]


async def _runs(storage: Storage, project: str, names: Sequence[str], begin: Place | None) -> AsyncIterator[Run]:
    if names:
        if begin is not None and begin.run not in names:
            raise Failure(f"the file ends in run {begin.run!r}, which is not among what is to be exported")
        for name in names if begin is None else names[names.index(begin.run) + 1 :]:
            run = await storage.get_run(project, name)
            if run is None:
                raise Failure(f"no run is called {name!r} in project {project!r}")
            yield run
        return
    before = begin.run if begin is not None else None
    while page := await storage.list_runs(project, RunQuery(PAGE_RUNS, before)):
        for run in page:
            yield run
        before = page[-1].id


async def _events(storage: Storage, project: str, run: str, after: int) -> AsyncIterator[Part]:
    splicer = EventSplicer(run)
    while page := (await storage.page(PageQuery(project, run, after, PAGE_EVENTS, PAGE_BYTES))).events:
        keys = await _keys(storage, project, run, page)
        yield Part(b"".join(event_line(project, splicer, event, keys.get(event.id)) for event in page), 0, len(page))
        after = page[-1].id


async def _keys(storage: Storage, project: str, run: str, page: Sequence[StoredEvent]) -> dict[int, str]:
    """The keys that clients gave, which the port does not tell; a storage of another kind keeps them to itself."""
    if not isinstance(storage, SqlStorage):
        return {}
    found = (
        select(events.c.id, events.c.key)
        .join(runs, runs.c.pk == events.c.run)
        .join(projects, projects.c.pk == runs.c.project)
        .where(projects.c.name == project, runs.c.name == run, events.c.key.is_not(None))
        .where(events.c.id.between(page[0].id, page[-1].id))
    )
    async with storage.read() as connection:
        return {row[0]: row[1] for row in await connection.execute(found)}
