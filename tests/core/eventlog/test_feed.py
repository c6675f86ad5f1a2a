"""The feed over all runs: one reader follows the storage for all streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops.core.eventlog import topic as topics
from tests.core.eventlog.faulty import OPENING, Log, frame, opened_feed, read, read_nothing

if TYPE_CHECKING:
    pass


async def test_the_feed_is_followed_by_one_reader_for_all(log: Log) -> None:
    await log.add("r", "old")
    streams = [await opened_feed(log) for _ in range(3)]
    assert [stream.at_hand() for stream in streams] == [OPENING] * 3
    for run in ("r", "s"):
        (number,) = await log.add(run, "a")
        for stream in streams:
            assert await read(stream, 1) == [frame(run, number, "a")]
    from_the_start = await opened_feed(log, "0")
    assert len((await read(from_the_start, 4))[1:]) == 3
    for stream in [*streams, from_the_start]:
        stream.close()


async def test_a_feed_from_the_future_is_told_of_the_gap_and_then_of_what_is_new(log: Log) -> None:
    (number,) = await log.add("r", "a")
    stream = await opened_feed(log, "500")
    assert stream.at_hand() == OPENING + b'event: gap\ndata: {"after":"500","oldest":"%d"}\n\n' % number
    (new,) = await log.add("s", "b")
    assert await read(stream, 1) == [frame("s", new, "b")]
    stream.close()


async def test_a_feed_from_its_end_waits(log: Log) -> None:
    (number,) = await log.add("r", "a")
    stream = await opened_feed(log, str(number))
    assert stream.at_hand() == OPENING
    assert await read_nothing(stream)
    (new,) = await log.add("s", "b")
    assert await read(stream, 1) == [frame("s", new, "b")]
    stream.close()


async def test_a_slow_reader_of_the_feed_loses_nothing(log: Log) -> None:
    slow, quick = await opened_feed(log), await opened_feed(log)
    ids: list[int] = []
    for number in range(5):
        ids += await log.add(f"r{number}", *"x" * 700)
        ids += await log.add("large", "y" * (topics.RING_BYTES // 2))
        await read(quick, 701)
    received = [each for each in await read(slow, len(ids) + 1) if each != OPENING]
    assert [int(each.split(b"\n")[0][4:]) for each in received] == ids
    slow.close()
    quick.close()
