"""What the feed over all runs promises: a cursor behind which nothing is missing and nothing comes twice."""

from __future__ import annotations

import pytest

from agentops.core.errors import BadRequest
from agentops.core.ports.storage import Append
from agentops.core.records import NewEvent
from agentops.testing._storage.base import PLENTY, AnyStorage, StorageTests, an_append, body, stored, whole_feed


class FeedContract(StorageTests):
    async def test_the_feed_shows_every_run_of_the_project_and_no_other(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("a", 1), an_append("b", 2), an_append("a", 3, project="q"), an_append("a", 4))
        items = await whole_feed(storage)
        assert [(item.run, item.event.body) for item in items] == [("a", body(1)), ("b", body(2)), ("a", body(4))]
        assert list(await whole_feed(storage, "unknown")) == []
        assert list(await whole_feed(storage, "nul\0")) == []

    async def test_parts_of_the_feed_join_without_gap_or_repeat(self, storage: AnyStorage) -> None:
        for number in range(4):
            await stored(storage, an_append("a", number, number), an_append("b", number))
        expected = [item.event.id for item in await whole_feed(storage)]
        assert len(expected) == 12
        seen: list[int] = []
        cursor: str | None = None
        while items := await storage.feed("p", cursor, 5, PLENTY):
            assert len(items) <= 5
            seen.extend(item.event.id for item in items)
            cursor = items[-1].cursor
        assert seen == expected

    async def test_the_id_of_its_last_event_is_a_cursor_too(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("a", 1, 2, 3))
        await stored(storage, an_append("b", 4))
        items = await whole_feed(storage)
        for position, item in enumerate(items):
            behind = await whole_feed(storage, after=str(item.event.id))
            assert behind == items[position + 1 :]

    async def test_zero_is_the_start(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("a", 1, 2))
        assert await whole_feed(storage, after="0") == await whole_feed(storage)

    async def test_behind_the_end_there_is_only_what_comes(self, storage: AnyStorage) -> None:
        empty = await storage.feed_end("p")
        await stored(storage, an_append("a", 1))
        end = await storage.feed_end("p")
        await stored(storage, an_append("a", 2), an_append("b", 3))
        assert [item.event.body for item in await whole_feed(storage, after=empty)] == [body(1), body(2), body(3)]
        assert [item.event.body for item in await whole_feed(storage, after=end)] == [body(2), body(3)]

    async def test_an_id_from_the_future_shows_nothing_yet(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("a", 1))
        assert list(await whole_feed(storage, after=str(appended.last + 1000))) == []

    async def test_an_id_that_was_pruned_misses_nothing_that_is_left(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("a", *range(10)))
        await storage.prune("p", "a", 3)
        left = [item.event.id for item in await whole_feed(storage, after=str(appended.ids[4]))]
        assert left == list(appended.ids[7:])

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "1-", "1.5", "٣", "1 ", "1-2-3", "9" * 40, "\0", "1\n"])
    async def test_what_is_no_cursor_is_refused(self, storage: AnyStorage, cursor: str) -> None:
        with pytest.raises(BadRequest) as refused:
            await whole_feed(storage, after=cursor)
        assert refused.value.code == "invalid_cursor"

    async def test_the_feed_is_bounded_by_bytes_and_holds_at_least_one(self, storage: AnyStorage) -> None:
        await stored(storage, Append("p", "a", [NewEvent(body("x" * 1000)) for _ in range(100)]))
        for max_bytes, least, most in ((1, 1, 1), (900, 1, 1), (5000, 4, 6)):
            items = await storage.feed("p", None, PLENTY, max_bytes)
            assert least <= len(items) <= most
