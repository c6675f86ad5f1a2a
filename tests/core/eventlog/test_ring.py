"""The ring of recent frames, its bounds, and how those who sleep are told of news."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from agentops import EventSettings
from agentops.core.eventlog import topic as topics
from agentops.core.ports.bus import Ring
from tests.core.eventlog.faulty import PROJECT, Log, frame, opened, read, read_nothing
from tests.core.parts import until

if TYPE_CHECKING:
    from tests.core.eventlog.conftest import Start


async def test_a_reader_that_falls_behind_the_ring_loses_nothing(log: Log) -> None:
    slow, quick = await opened(log, "r", 0), await opened(log, "r", 0)
    ids: list[int] = []
    for _ in range(5):
        ids += await log.add("r", *"x" * 700)
        await read(quick, 700)
    assert [int(each.split(b"\n")[0][4:]) for each in await read(slow, len(ids))] == ids
    slow.close()
    quick.close()


async def test_a_ring_is_bounded_in_bytes(log: Log) -> None:
    stream = await opened(log, "r", 0)
    large = "x" * (topics.RING_BYTES // 3)
    ids = [number for _ in range(8) for number in await log.add("r", large)]
    ids += await log.add("r", "y" * (topics.RING_BYTES * 2))
    assert [int(each.split(b"\n")[0][4:]) for each in await read(stream, len(ids))] == ids
    stream.close()


async def test_what_can_be_written_at_once_wakes_nobody(log: Log) -> None:
    stream = await opened(log, "r")
    written: list[bytes] = []

    def write(chunk: bytes) -> bool:
        written.append(chunk)
        return len(written) < 3

    stream.write_at_once = write
    reading = asyncio.create_task(read(stream, 1))
    await until(lambda: stream in stream.topic._sleepers)
    numbers = [number for kind in "abc" for number in await log.add("r", kind)]
    assert await reading == [frame("r", numbers[2], "c")]
    assert written == [frame("r", number, kind) for number, kind in zip(numbers, "abc", strict=True)]
    stream.close()


async def test_news_while_the_sleeping_are_told_goes_out_together(start: Start) -> None:
    async with start(EventSettings(poll_seconds=60)) as log:
        stream = await opened(log, "r")
        written: list[bytes] = []

        def write_slowly(chunk: bytes) -> bool:
            time.sleep(0.1)
            written.append(chunk)
            return True

        stream.write_at_once = write_slowly
        reading = asyncio.create_task(read(stream, 1))
        await until(lambda: stream in stream.topic._sleepers)
        (first,) = await log.add("r", "a")
        await until(lambda: written)
        rest = [*await log.add("r", "b"), *await log.add("r", "c")]
        await until(lambda: len(written) > 1)
        together = [frame("r", number, kind) for number, kind in zip(rest, "bc", strict=True)]
        assert written == [frame("r", first, "a"), b"".join(together)]
        reading.cancel()
        stream.close()


async def test_bells_that_ring_while_the_sleeping_are_told_are_not_lost(start: Start) -> None:
    async with start(EventSettings(poll_seconds=60)) as log, start(EventSettings()) as other:
        stream = await opened(log, "r")
        reading = asyncio.create_task(read(stream, 2))
        await until(lambda: stream in stream.topic._sleepers)
        first, second = await other.add("r", "a", "b")
        for number in (first, second):
            log.bus.ring(Ring(PROJECT, "r", number))
        assert await reading == [frame("r", first, "a"), frame("r", second, "b")]
        stream.close()


async def test_a_reader_that_gave_up_its_sleep_is_not_woken(log: Log) -> None:
    stream = await opened(log, "r")
    assert await read_nothing(stream)
    (number,) = await log.add("r", "a")
    await until(lambda: stream.topic.bells)
    assert await read(stream, 1) == [frame("r", number, "a")]
    stream.close()


async def test_readers_at_many_places_are_all_served(log: Log) -> None:
    ids = await log.add("r", *"abcdefghijklmnopqrst")
    first = await opened(log, "r", ids[-1])
    assert await read_nothing(first)
    ids += await log.add("r", *"uvwxyzuvwxyz")
    streams = [await opened(log, "r", number) for number in ids[19:-1]]
    for place, stream in enumerate(streams, 20):
        assert [int(each.split(b"\n")[0][4:]) for each in await read(stream, len(ids) - place)] == ids[place:]
    for stream in [first, *streams]:
        stream.close()


def test_a_chunk_holds_about_as_much_as_a_page() -> None:
    small, large = b"x" * (topics.PAGE_BYTES // 4), b"y" * (topics.PAGE_BYTES * 2)
    assert [topics.bounded(frames, 0) for frames in ([small], [small] * 9, [large, small], [small, large])] == [
        1,
        4,
        1,
        2,
    ]
    assert topics.bounded([small] * 9, 7) == 2
