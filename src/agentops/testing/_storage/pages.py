"""What reading a run promises: order, bounds, and that what was pruned is told."""

from __future__ import annotations

import pytest

from agentops.core.ports.storage import Append, PageQuery
from agentops.core.records import NewEvent
from agentops.testing._storage.base import PLENTY, AnyStorage, StorageTests, an_append, body, stored


class PageContract(StorageTests):
    async def test_pages_of_a_run_join_without_gap_or_repeat(self, storage: AnyStorage) -> None:
        (mine, _, more) = await stored(
            storage, an_append("run", *range(10)), an_append("other", *range(10)), an_append("run", *range(10))
        )
        seen: list[int] = []
        while events := (await storage.page(PageQuery("p", "run", seen[-1] if seen else 0, 3, PLENTY))).events:
            assert len(events) <= 3
            seen.extend(event.id for event in events)
        assert seen == [*mine.ids, *more.ids]

    async def test_a_page_begins_behind_its_cursor(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(5)))
        page = await storage.page(PageQuery("p", "run", appended.ids[1], PLENTY, PLENTY))
        assert [event.id for event in page.events] == list(appended.ids[2:])
        assert page.oldest is None

    @pytest.mark.parametrize(
        ("project", "run"), [("p", "unknown"), ("unknown", "run"), ("p", "nul\0"), ("p", "half\ud800"), ("\0", "run")]
    )
    async def test_an_unknown_run_has_no_events(self, storage: AnyStorage, project: str, run: str) -> None:
        await stored(storage, an_append("run", "a"))
        page = await storage.page(PageQuery(project, run, 0, PLENTY, PLENTY))
        assert (list(page.events), page.oldest) == ([], None)

    async def test_behind_the_end_there_is_nothing(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", "a"))
        for after in (appended.last, appended.last + 1000):
            page = await storage.page(PageQuery("p", "run", after, PLENTY, PLENTY))
            assert (list(page.events), page.oldest) == ([], None)

    async def test_a_page_is_bounded_by_bytes_and_holds_at_least_one(self, storage: AnyStorage) -> None:
        large = [NewEvent(body("x" * 1000)) for _ in range(100)]
        await stored(storage, Append("p", "run", large))
        for max_bytes, least, most in ((1, 1, 1), (900, 1, 1), (5000, 4, 6)):
            page = await storage.page(PageQuery("p", "run", 0, PLENTY, max_bytes))
            assert least <= len(page.events) <= most

    async def test_what_was_pruned_behind_the_cursor_is_told(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(10)))
        await storage.prune("p", "run", 3)
        page = await storage.page(PageQuery("p", "run", appended.ids[4], PLENTY, PLENTY))
        assert [event.id for event in page.events] == list(appended.ids[7:])
        assert page.oldest == appended.ids[7]

    async def test_nothing_is_told_where_nothing_was_lost(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(10)))
        await storage.prune("p", "run", 3)
        page = await storage.page(PageQuery("p", "run", appended.ids[6], PLENTY, PLENTY))
        assert [event.id for event in page.events] == list(appended.ids[7:])
        assert page.oldest is None

    async def test_where_all_was_pruned_the_oldest_is_still_to_come(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(10)))
        await storage.prune("p", "run", 0)
        page = await storage.page(PageQuery("p", "run", appended.ids[4], PLENTY, PLENTY))
        assert list(page.events) == []
        assert page.oldest is not None
        assert page.oldest > appended.last
        at_end = await storage.page(PageQuery("p", "run", appended.last, PLENTY, PLENTY))
        assert at_end.oldest is None

    async def test_with_keep_only_the_newest_are_shown(self, storage: AnyStorage) -> None:
        (appended, _) = await stored(storage, an_append("run", *range(12)), an_append("other", *range(5)))
        page = await storage.page(PageQuery("p", "run", 0, PLENTY, PLENTY, keep=10))
        assert [event.id for event in page.events] == list(appended.ids[2:])
        assert page.oldest == appended.ids[2]
        behind = await storage.page(PageQuery("p", "run", appended.ids[1], PLENTY, PLENTY, keep=10))
        assert behind.oldest is None

    async def test_with_keep_a_tenth_more_is_shown(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(11)))
        page = await storage.page(PageQuery("p", "run", 0, PLENTY, PLENTY, keep=10))
        assert [event.id for event in page.events] == list(appended.ids)
        assert page.oldest is None

    async def test_keep_counts_what_is_left_after_pruning(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(20)))
        await storage.prune("p", "run", 11)
        page = await storage.page(PageQuery("p", "run", 0, PLENTY, PLENTY, keep=10))
        assert [event.id for event in page.events] == list(appended.ids[9:])
        assert page.oldest == appended.ids[9]
