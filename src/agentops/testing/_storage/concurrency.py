"""What is promised when many instances write at once: readers by cursor miss nothing, and see no order turned."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import ClassVar

from agentops.core.ports.storage import PageQuery
from agentops.core.rungs import Rungs
from agentops.testing._storage.base import (
    PLENTY,
    AnyStorage,
    MakeStorage,
    StorageTests,
    all_of,
    an_append,
    stored,
)

RUNS = ("a", "b", "c")


class Followed:
    """What one reader saw, in the order it saw it."""

    def __init__(self, storage: AnyStorage) -> None:
        self.storage = storage
        self.ids: list[int] = []
        self.runs: list[str] = []

    async def read_feed(self, written: asyncio.Event) -> None:
        cursor: str | None = None
        while True:
            last_look = written.is_set()
            items = await self.storage.feed("p", cursor, 7, PLENTY)
            self.ids.extend(item.event.id for item in items)
            self.runs.extend(item.run for item in items)
            cursor = items[-1].cursor if items else cursor
            if last_look and not items:
                return

    async def read_run(self, run: str, written: asyncio.Event) -> None:
        while True:
            last_look = written.is_set()
            after = self.ids[-1] if self.ids else 0
            page = await self.storage.page(PageQuery("p", run, after, 7, PLENTY))
            self.ids.extend(event.id for event in page.events)
            if last_look and not page.events:
                return


class ConcurrencyContract(StorageTests):
    instances: ClassVar[int] = 16
    batches: ClassVar[int] = 12

    async def test_several_may_migrate_at_once(self, make_storage: MakeStorage) -> None:
        await asyncio.gather(*(make_storage().migrate() for _ in range(8)))

    async def test_readers_by_cursor_miss_nothing_while_many_write(self, make_storage: MakeStorage) -> None:
        written = asyncio.Event()
        async with AsyncExitStack() as stack:
            writers = [make_storage() for _ in range(self.instances)]
            for writer in writers:
                await stack.enter_async_context(writer.life(Rungs()))
            feeds = [Followed(writers[0]), Followed(writers[-1])]
            pages = {run: Followed(writers[1]) for run in RUNS}
            async with asyncio.TaskGroup() as readers:
                for feed in feeds:
                    readers.create_task(feed.read_feed(written))
                for run, page in pages.items():
                    readers.create_task(page.read_run(run, written))
                async with asyncio.TaskGroup() as tasks:
                    for number, writer in enumerate(writers):
                        tasks.create_task(self._write(writer, number))
                written.set()
            truth = {run: [event.id for event in await all_of(writers[0], run)] for run in RUNS}
        each = self.instances * self.batches * 2
        assert {run: len(ids) for run, ids in truth.items()} == dict.fromkeys(RUNS, each)
        for run, page in pages.items():
            assert page.ids == truth[run]
        for feed in feeds:
            for run in RUNS:
                seen = [event for event, of in zip(feed.ids, feed.runs, strict=True) if of == run]
                assert seen == truth[run]

    async def test_a_key_sent_by_many_at_once_is_stored_once(self, make_storage: MakeStorage) -> None:
        async with AsyncExitStack() as stack:
            writers = [make_storage() for _ in range(4)]
            for writer in writers:
                await stack.enter_async_context(writer.life(Rungs()))
            answers = await asyncio.gather(*(stored(writer, an_append("run", keys=["k"])) for writer in writers))
            assert len({appended.ids[0] for (appended,) in answers}) == 1
            assert len(await all_of(writers[0])) == 1

    async def test_a_run_made_by_many_at_once_is_one(self, make_storage: MakeStorage) -> None:
        async with AsyncExitStack() as stack:
            writers = [make_storage() for _ in range(4)]
            for writer in writers:
                await stack.enter_async_context(writer.life(Rungs()))
            made = await asyncio.gather(*(writer.create_run("p", "run", "title", "running") for writer in writers))
            assert sorted(new for _, new in made) == [False, False, False, True]
            assert len({run.started_at for run, _ in made}) == 1

    async def _write(self, storage: AnyStorage, number: int) -> None:
        """Runs in an order of this writer's own, so that writers meet on the same runs from both ends."""
        order = RUNS if number % 2 else RUNS[::-1]
        for _ in range(self.batches):
            await stored(storage, *(an_append(run, number, number) for run in order))
