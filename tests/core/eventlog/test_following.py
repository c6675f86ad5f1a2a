"""Streams: from the ring while their cursor is inside, else from storage, and without a gap either way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentops import EventSettings, Unavailable
from agentops.core.ports.bus import Ring
from tests.core.eventlog.faulty import OPENING, PROJECT, Log, event, frame, opened, opened_feed, read, read_nothing
from tests.core.parts import until

if TYPE_CHECKING:
    from agentops.core.eventlog.stream import Stream
    from tests.core.eventlog.conftest import Start


async def test_what_is_in_the_ring_is_not_read_from_storage(log: Log) -> None:
    stream = await opened(log, "r", 0)
    (first,) = await log.add("r", "a")
    assert await read(stream, 1) == [frame("r", first, "a")]
    pages = log.storage.pages
    ids = await log.add("r", *"bcd")
    assert await read(stream, 3) == [frame("r", number, kind) for number, kind in zip(ids, "bcd", strict=True)]
    assert log.storage.pages == pages
    stream.close()


async def test_readers_of_the_same_page_share_one_query(log: Log) -> None:
    await log.add("r", *"abc")
    streams = [await opened(log, "r", 0) for _ in range(5)]
    pages = log.storage.pages
    results = await asyncio.gather(*(read(stream, 3) for stream in streams))
    assert log.storage.pages == pages + 1
    assert all(result == results[0] for result in results)
    for stream in streams:
        stream.close()


async def test_what_another_process_wrote_is_found_without_a_bell(log: Log, start: Start) -> None:
    stream = await opened(log, "r")
    feed = await opened_feed(log)
    assert feed.at_hand() == OPENING
    async with start(EventSettings()) as other:
        (number,) = await other.add("r", "a")
        assert await read(stream, 1) == [frame("r", number, "a")]
        assert await read(feed, 1) == [frame("r", number, "a")]
        (mine,) = await log.add("r", "b")
        (theirs,) = await other.add("r", "c")
        assert await read(stream, 2) == [frame("r", mine, "b"), frame("r", theirs, "c")]
    stream.close()
    feed.close()


async def test_a_bell_of_another_process_is_enough(start: Start) -> None:
    async with start(EventSettings(poll_seconds=60)) as log, start(EventSettings()) as other:
        stream = await opened(log, "r")
        reading = asyncio.create_task(read(stream, 1))
        await asyncio.sleep(0)
        (number,) = await other.add("r", "a")
        log.bus.ring(Ring(PROJECT, "r", number))
        assert await reading == [frame("r", number, "a")]
        stream.close()


async def test_polling_goes_on_after_the_storage_failed(log: Log, start: Start) -> None:
    stream, feed = await opened(log, "r"), await opened_feed(log)
    assert feed.at_hand() == OPENING
    assert await read_nothing(stream)
    log.storage.error = Unavailable("away")
    await until(lambda: log.told.named("poll.postponed") and log.told.named("feed.postponed"))
    log.storage.error = None
    async with start(EventSettings()) as other:
        (number,) = await other.add("r", "a")
        assert await read(stream, 1) == [frame("r", number, "a")]
        assert await read(feed, 1) == [frame("r", number, "a")]
    stream.close()
    feed.close()


@pytest.mark.parametrize("feed", [False, True], ids=["run", "feed"])
async def test_a_stream_that_cannot_be_opened_leaves_nothing_behind(log: Log, feed: bool) -> None:
    hub: Any = log.events.follow.__self__  # type: ignore[attr-defined]
    log.storage.error = Unavailable("away")
    for _ in range(2):
        with pytest.raises(Unavailable, match="away"):
            await (log.events.follow_feed(PROJECT, None) if feed else log.events.follow(PROJECT, "r", None))
    assert (hub._runs, hub._feeds, hub._streams) == ({}, {}, set())
    log.storage.error = None
    stream = await (opened_feed(log) if feed else opened(log, "r"))
    stream.close()
    assert (hub._runs, hub._feeds, hub._streams) == ({}, {}, set())


async def test_a_run_is_held_while_anybody_reads_it(log: Log) -> None:
    first, second = await opened(log, "r"), await opened(log, "r")
    first.close()
    (number,) = await log.add("r", "a")
    assert await read(second, 1) == [frame("r", number, "a")]
    second.close()


async def test_nobody_is_let_in_while_the_server_drains(log: Log) -> None:
    stream = await opened(log, "r")
    reading = asyncio.create_task(read(stream, 1))
    await asyncio.sleep(0)
    log.events.drain()
    assert await reading == []
    assert stream.ended
    for opening in (log.events.follow(PROJECT, "r", None), log.events.follow_feed(PROJECT, None)):
        with pytest.raises(Unavailable, match="shutting down") as raised:
            await opening
        assert raised.value.code == "draining"
    stream.close()


async def test_a_heartbeat_goes_out_in_the_quiet_and_between_events(start: Start) -> None:
    async with start(EventSettings(heartbeat_seconds=0.02)) as log:
        stream = await opened(log, "r")
        frames = await read(stream, 2)
        assert all(each.startswith(b": heartbeat ") for each in frames)
        await log.add("r", "a")
        assert frame("r", 1, "a") in await read(stream, 2)
        stream.close()


async def test_a_reader_that_takes_nothing_is_told_to_go(start: Start) -> None:
    async with start(EventSettings(stall_seconds=0.05)) as log:
        stalled, busy = await opened(log, "r"), await opened(log, "r")
        told = asyncio.Event()
        stalled.on_stall = told.set
        busy.on_stall = lambda: pytest.fail("this one is not blocked")
        stalled.blocked_since = asyncio.get_running_loop().time()
        await asyncio.wait_for(told.wait(), 5)
        assert log.told.named("stream.stalled")[0] == {"seconds": 0.05}
        stalled.on_stall = stalled.end
        stalled.close()
        busy.close()


async def test_a_cursor_is_checked_against_the_newest_id_there_is(log: Log) -> None:
    (number,) = await log.add("r", "a")
    ahead = await log.events.follow(PROJECT, "r", 500)
    assert ahead.at_hand() == OPENING + b'event: gap\ndata: {"after":"500","oldest":"%d"}\n\n' % (number + 1)
    exact = await log.events.follow(PROJECT, "r", number)
    assert exact.at_hand() == OPENING
    behind = await log.events.follow(PROJECT, "other", number)
    assert behind.at_hand() == OPENING
    for stream in (ahead, exact, behind):
        stream.close()


async def test_a_gap_is_told_when_the_pages_begin_later(start: Start) -> None:
    async with start(EventSettings(retention=5)) as log:
        first, *_ = await log.add("r", *"abcdefghijklmnopqrst")
        stream = await opened(log, "r", first)
        gap, *events = await read(stream, 6)
        assert gap == b'event: gap\ndata: {"after":"%d","oldest":"16"}\n\n' % first
        assert events == [frame("r", number, kind) for number, kind in zip(range(16, 21), "pqrst", strict=True)]
        stream.close()


async def test_an_append_whose_keys_are_all_known_wakes_nobody(log: Log) -> None:
    await log.events.append(PROJECT, "r", [event("a", "k")])
    stream = await opened(log, "r")
    await log.events.append(PROJECT, "r", [event("a", "k")])
    await log.events.append(PROJECT, "r", [event("b", "k"), event("c")])
    assert await read(stream, 1) == [frame("r", 2, "c")]
    stream.close()


async def test_a_reader_that_is_blocked_while_the_server_drains_is_waited_for_less(start: Start) -> None:
    async with start(EventSettings(stall_seconds=600)) as log:
        stream = await opened(log, "r")
        told = asyncio.Event()
        stream.on_stall = told.set
        stream.blocked_since = asyncio.get_running_loop().time() - 60
        log.events.drain()
        await asyncio.wait_for(told.wait(), 5)
        stream.close()


async def test_pages_say_whether_there_is_more(log: Log) -> None:
    await log.add("r", *"abc")
    assert [(len(events), more) for events, more in [await log.events.page(PROJECT, "r", 0, n) for n in (2, 3, 4)]] == [
        (2, True),
        (3, False),
        (3, False),
    ]
    first, more = await log.events.feed(PROJECT, None, 2)
    rest, no_more = await log.events.feed(PROJECT, first[-1].cursor, 2)
    assert [item.event.id for item in [*first, *rest]] == [1, 2, 3]
    assert (more, no_more) == (True, False)


async def test_streams_end_when_the_database_is_another_one(start: Start) -> None:
    """Their readers come again with what they have, and are told whether it is still there."""
    async with start(EventSettings(poll_seconds=0.01)) as log:
        streams: list[Stream[Any]] = [await opened(log, "r"), await opened_feed(log)]
        await until(lambda: log.storage.epochs_asked)
        assert not any(stream.ended for stream in streams)
        log.storage.life_number += 1
        await until(lambda: all(stream.ended for stream in streams))
        again = await opened(log, "r")
        asked = log.storage.epochs_asked
        await until(lambda: log.storage.epochs_asked > asked + 1)
        assert not again.ended
        assert again.topic is not streams[0].topic
        for stream in streams:
            stream.close()
        assert (await opened(log, "r")).topic is again.topic
        again.close()


async def test_a_stream_that_is_opened_while_the_database_becomes_another_one_ends(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start(EventSettings(poll_seconds=0.01)) as log:
        other = await opened(log, "other")
        await until(lambda: log.storage.epochs_asked)
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def known(after: int) -> int:
            asked.set()
            await go_on.wait()
            return after

        monkeypatch.setattr(log.storage, "known", known)
        opening = asyncio.create_task(opened(log, "r", 0))
        await asked.wait()
        log.storage.life_number += 1
        await until(lambda: other.ended)
        go_on.set()
        late = await opening
        assert late.ended
        late.close()
        other.close()
