"""What pruning promises: the newest stay, the count of all that was recorded stays, and no more than asked goes."""

from __future__ import annotations

from agentops.testing._storage.base import AnyStorage, StorageTests, all_of, an_append, stored


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
