"""Stores the lines of an export, in batches that can be stored again without doubling anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from agentops.cli.failures import Failure
from agentops.cli.transfer.records import new_event
from agentops.core.errors import Refusal
from agentops.core.ports.storage import Append, PageQuery
from agentops.sql import runs as run_queries
from agentops.sql.storage import SqlStorage
from agentops.sql.tables import projects, runs

if TYPE_CHECKING:
    from agentops.cli.transfer.records import EventRecord, Line, RunRecord
    from agentops.core.ports.storage import Storage
    from agentops.core.records import NewEvent

BATCH_LINES: Final = 2000
BATCH_BYTES: Final = 4 * 1024 * 1024

RunName = tuple[str, str]


class Importer:
    """Takes lines one by one; what was there already is counted and left as it is."""

    def __init__(self, storage: Storage) -> None:
        self.runs = 0
        self.events = 0
        self.there_already = 0
        self._storage = storage
        self._new_runs: dict[RunName, RunRecord] = {}
        self._events: dict[RunName, list[tuple[int, NewEvent]]] = {}
        self._lines = 0
        self._bytes = 0
        self._made_here: set[RunName] = set()

    async def add(self, line: Line, size: int) -> None:
        name = line.project, line.run_name
        if line.run is not None:
            self._new_runs.setdefault(name, line.run)
        if line.event is not None:
            self._events.setdefault(name, []).append(_numbered(line, line.event))
        self._lines += 1
        self._bytes += size
        if self._lines >= BATCH_LINES or self._bytes >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Store what was taken: the runs first, then their events."""
        await self._store_runs()
        appends = [await self._not_there(name, events) for name, events in self._events.items()]
        appends = [append for append in appends if append.events]
        for append, outcome in zip(appends, await self._storage.append(appends) if appends else (), strict=True):
            if isinstance(outcome, Refusal):
                raise Failure(f"the events of run {append.run!r} cannot be stored: {outcome.message or outcome.title}")
            self.events += len(append.events) - len(outcome.repeats)
            self.there_already += len(outcome.repeats)
        self._new_runs.clear()
        self._events.clear()
        self._lines = self._bytes = 0

    async def _store_runs(self) -> None:
        if isinstance(self._storage, SqlStorage):
            await self._store_runs_with_their_times(self._storage)
            return
        for (project, name), run in self._new_runs.items():
            _, made = await self._storage.create_run(project, name, run.title, run.status)
            self._count(project, name, made)

    async def _store_runs_with_their_times(self, storage: SqlStorage[Any]) -> None:
        """The port makes runs that start now; these started when they did, and all are made at once."""
        if not self._new_runs:
            return
        made_now: list[tuple[RunName, bool]] = []
        async with storage.write() as connection:
            for (project, name), run in self._new_runs.items():
                _, made = await run_queries.create(connection, project, name, run.title, run.status)
                made_now.append(((project, name), made))
                if made:
                    its_project = select(projects.c.pk).where(projects.c.name == project).scalar_subquery()
                    its_row = (runs.c.project == its_project) & (runs.c.name == name)
                    times = {"started_at": run.started_at, "ended_at": run.ended_at}
                    await connection.execute(update(runs).where(its_row).values(times))
        for (project, name), made in made_now:
            self._count(project, name, made)

    def _count(self, project: str, name: str, made: bool) -> None:
        if made:
            self.runs += 1
            self._made_here.add((project, name))

    async def _not_there(self, name: RunName, events: list[tuple[int, NewEvent]]) -> Append:
        """Leave out what this database has under the same id: it is the one that the export was made from."""
        project, run = name
        if name in self._made_here:
            return Append(project, run, [event for _, event in events])
        there = await self._bodies(project, run, events[0][0], events[-1][0])
        new = [event for number, event in events if there.get(number) != event.body]
        self.there_already += len(events) - len(new)
        return Append(project, run, new)

    async def _bodies(self, project: str, run: str, first: int, last: int) -> dict[int, str]:
        found: dict[int, str] = {}
        after = first - 1
        while after < last:
            page = (await self._storage.page(PageQuery(project, run, after, BATCH_LINES, BATCH_BYTES))).events
            if not page:
                break
            found.update((event.id, event.body) for event in page)
            after = page[-1].id
        return found


def _numbered(line: Line, event: EventRecord) -> tuple[int, NewEvent]:
    return int(event.id), new_event(line, event)
