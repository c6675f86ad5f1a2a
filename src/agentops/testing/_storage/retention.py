"""What pruning promises: the newest stay, the count of all that was recorded stays, and no more than asked goes.

And what forgetting does: nothing goes before its time, all of it after, and a reader is told.
"""

from __future__ import annotations

import asyncio

from agentops.core.ports.storage import PageQuery
from agentops.testing._storage.base import PLENTY, AnyStorage, StorageTests, all_of, an_append, stored, whole_feed


class RetentionContract(StorageTests):
    async def test_the_newest_are_kept(self, storage: AnyStorage) -> None:
        (appended, other) = await stored(storage, an_append("run", *range(10)), an_append("other", *range(10)))
        assert await storage.prune("p", "run", 4) == 6
        assert [event.id for event in await all_of(storage)] == list(appended.ids[6:])
        assert [event.id for event in await all_of(storage, "other")] == list(other.ids)

    async def test_pruned_events_still_count_as_recorded_but_not_as_kept(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("run", *range(10)))
        await storage.prune("p", "run", 4)
        run = await storage.get_run("p", "run")
        assert run is not None
        assert run.event_count == 10
        (more,) = await stored(storage, an_append("run", "x"))
        assert more.kept == 5

    async def test_there_may_be_nothing_to_prune(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("run", *range(4)))
        assert await storage.prune("p", "run", 4) == 0
        assert await storage.prune("p", "unknown", 0) == 0
        assert await storage.prune("p", "run\0", 0) == 0
        assert len(await all_of(storage)) == 4

    async def test_all_may_go(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(4)))
        assert await storage.prune("p", "run", 0) == 4
        assert list(await all_of(storage)) == []
        assert await storage.last_id("p", "run") == appended.last

    async def test_more_goes_than_fits_into_one_transaction(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(5003)))
        assert await storage.prune("p", "run", 3) == 5000
        assert [event.id for event in await all_of(storage)] == list(appended.ids[-3:])

    async def test_a_pruned_key_is_new_again(self, storage: AnyStorage) -> None:
        (first,) = await stored(storage, an_append("run", keys=["k"]))
        await storage.prune("p", "run", 0)
        (second,) = await stored(storage, an_append("run", keys=["k"]))
        assert second.last > first.last
        assert second.repeats == {}

    async def test_runs_with_too_many_are_named(self, storage: AnyStorage) -> None:
        await stored(
            storage,
            an_append("full", *range(5)),
            an_append("over", *range(6)),
            an_append("over", *range(7), project="q"),
            an_append("pruned", *range(9)),
        )
        await storage.prune("p", "pruned", 5)
        assert sorted(await storage.overfull(5)) == [("p", "over"), ("q", "over")]

    async def test_what_is_old_is_forgotten_in_every_run(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("run", *range(3)), an_append("other", *range(4), project="q"))
        assert await _forgotten(storage) == 7
        (young,) = await stored(storage, an_append("run", "young"))
        assert [event.id for event in await all_of(storage)] == list(young.ids)
        assert [item.event.id for item in await whole_feed(storage)] == list(young.ids)
        assert list(await all_of(storage, "other", "q")) == []
        run = await storage.get_run("p", "run")
        assert run is not None
        assert (run.event_count, young.kept) == (4, 1)
        assert await storage.overfull(0) == [("p", "run")]

    async def test_whoever_stood_in_what_was_forgotten_is_told(self, storage: AnyStorage) -> None:
        (old,) = await stored(storage, an_append("run", *range(3)))
        start = (await whole_feed(storage))[0].cursor
        await _forgotten(storage)
        (young,) = await stored(storage, an_append("run", "young"))
        page = await storage.page(PageQuery("p", "run", old.ids[0], PLENTY, PLENTY))
        assert ([event.id for event in page.events], page.oldest) == (list(young.ids), young.last)
        assert (await storage.page(PageQuery("p", "run", old.last, PLENTY, PLENTY))).oldest is None
        assert await storage.feed_misses("p", start)

    async def test_what_is_young_is_not_forgotten(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("run", *range(3)))
        for _ in range(3):
            assert await storage.forget(3_600_000) == 0
        assert len(await all_of(storage)) == 3

    async def test_ids_go_on_growing_when_all_is_forgotten(self, storage: AnyStorage) -> None:
        (old,) = await stored(storage, an_append("run", *range(3)))
        await _forgotten(storage)
        assert await storage.last_id("p", "run") == old.last
        (new,) = await stored(storage, an_append("new", "x"))
        assert new.ids[0] > old.last


async def _forgotten(storage: AnyStorage) -> int:
    """Forget all there is: look again until the clock has moved on, as a server does."""
    async with asyncio.timeout(10):
        while not (gone := await storage.forget(1)):
            continue
    return gone
