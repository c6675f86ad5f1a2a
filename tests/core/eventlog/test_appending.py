"""One writer: requests wait together, are bounded, and are answered with what became of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentops import EventSettings, Unavailable
from agentops.core.errors import BadRequest, Conflict, Refusal
from tests.core.eventlog.faulty import PROJECT, Log, event
from tests.core.parts import until

if TYPE_CHECKING:
    from tests.core.eventlog.conftest import Start


async def waiting(log: Log, *appends: tuple[str, list[str]]) -> list[asyncio.Task[list[int]]]:
    """Start these appends while the storage is shut, each behind the one before it."""
    log.storage.gate.clear()
    tasks: list[asyncio.Task[list[int]]] = []
    for run, kinds in appends:
        tasks.append(asyncio.create_task(log.add(run, *kinds)))
        await asyncio.sleep(0)
    return tasks


async def test_what_waits_while_a_commit_runs_goes_into_the_next_together(log: Log) -> None:
    tasks = await waiting(log, *[("r", [str(number)]) for number in range(10)])
    log.storage.gate.set()
    ids = [await task for task in tasks]
    assert log.storage.batches == [1, 9]
    assert await log.stored("r") == [number for (number,) in ids]


async def test_a_commit_is_kept_short(log: Log) -> None:
    tasks = await waiting(log, ("r", ["a"]), *[("r", ["b"] * 1500)] * 4)
    log.storage.gate.set()
    await asyncio.gather(*tasks)
    assert log.storage.batches == [1, 2, 2]


@pytest.mark.parametrize(
    "bound", [{"queue_events": 5}, {"queue_bytes": 5 * len('{"type":"a"}')}], ids=lambda b: next(iter(b))
)
async def test_more_than_can_wait_is_refused_and_the_rest_is_kept(start: Start, bound: dict[str, int]) -> None:
    async with start(EventSettings(**bound)) as log:
        tasks = await waiting(log, *[("r", ["a"])] * 8)
        refused = [task for task in tasks if task.done()]
        assert len(refused) == 3
        for task in refused:
            with pytest.raises(Unavailable, match="more events arrive") as raised:
                task.result()
            assert raised.value.code == "overloaded"
            assert raised.value.headers == {"Retry-After": "1"}
        log.storage.gate.set()
        kept = [await task for task in tasks if task not in refused]
        assert await log.stored("r") == [number for (number,) in kept]
        assert await log.add("r", "a") is not None


async def test_what_is_being_stored_counts_as_waiting(start: Start) -> None:
    async with start(EventSettings(queue_events=5)) as log:
        tasks = await waiting(log, ("r", ["a"] * 5), ("r", ["b"]))
        assert [task.done() for task in tasks] == [False, True]
        log.storage.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(outcome, Unavailable) for outcome in outcomes] == [False, True]


async def test_one_that_is_larger_than_the_queue_is_taken_when_nothing_waits(start: Start) -> None:
    async with start(EventSettings(queue_events=5)) as log:
        assert len(await log.add("r", *"abcdefgh")) == 8


async def test_one_that_cannot_be_stored_fails_alone(log: Log) -> None:
    tasks = await waiting(log, ("a", ["x"]), ("b", ["x"]), ("nul\0", ["x"]), ("c", ["x"]))
    log.storage.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(outcome, BadRequest) for outcome in outcomes] == [False, False, True, False]
    assert [len(await log.stored(run)) for run in "abc"] == [1, 1, 1]


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (Unavailable("no"), Unavailable, "unavailable"),
        (Conflict(), Conflict, "conflict"),
        (OSError("x"), Unavailable, "storage_unavailable"),
    ],
    ids=["unavailable", "refusal", "unforeseen"],
)
async def test_a_storage_that_fails_is_told_to_all_and_recovers(
    log: Log, error: Exception, kind: type[Refusal], code: str
) -> None:
    log.storage.error = error
    tasks = await waiting(log, ("r", ["a"]), ("r", ["b"]))
    log.storage.gate.set()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, kind)
        assert outcome.code == code
    assert len(log.told.named("storage.append_failed")) == (2 if code == "storage_unavailable" else 0)
    log.storage.error = None
    assert len(await log.add("r", "c")) == 1
    assert len(await log.stored("r")) == 1


async def test_who_stops_waiting_harms_nobody(log: Log) -> None:
    tasks = await waiting(log, ("r", ["a"]), ("r", ["b"]), ("nul\0", ["c"]), ("r", ["d"]))
    for task in tasks[1:3]:
        task.cancel()
    log.storage.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["list", "CancelledError", "CancelledError", "list"]
    assert len(await log.stored("r")) == 3


async def test_a_storage_that_answers_for_others_stores_nothing_that_is_told(log: Log) -> None:
    log.storage.answers_short = True
    tasks = await waiting(log, ("r", ["a"]), ("r", ["b"]), ("r", ["c"]))
    log.storage.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [None, *["storage_unavailable"] * 2]
    assert len(log.told.named("storage.append_failed")) == 1


async def test_a_bus_that_raises_costs_its_bell_and_no_event(log: Log) -> None:
    def ring(_ring: object) -> None:
        raise RuntimeError("broken bell")

    log.bus.ring = ring  # type: ignore[assignment, method-assign]
    assert await log.add("r", "a") == [1]
    await until(lambda: log.told.named("commit.untold"))
    assert await log.add("r", "b") == [2]


async def test_what_nobody_waits_for_any_more_does_not_hold_the_end(start: Start) -> None:
    async with start(EventSettings()) as log:
        tasks = await waiting(log, ("r", ["a"]), ("r", ["b"]), ("r", ["c"]))
        tasks[1].cancel()
    assert log.storage.batches == [1, 1]
    assert [task.cancelled() or await task for task in tasks] == [[1], True, [2]]


async def test_what_waits_at_the_end_is_stored_and_what_comes_later_refused(start: Start) -> None:
    async with start(EventSettings()) as log:
        tasks = await waiting(log, ("r", ["a"]), ("r", ["b"]))
        log.storage.gate.set()
    assert [len(await task) for task in tasks] == [1, 1]
    with pytest.raises(Unavailable, match="shutting down"):
        await log.add("r", "c")
    async with start(EventSettings()) as again:
        assert len(await again.stored("r")) == 2


async def test_a_status_comes_with_its_events(log: Log) -> None:
    await log.events.append(PROJECT, "r", [event("a")], "completed")
    run = await log.storage.get_run(PROJECT, "r")
    assert run is not None
    assert run.status == "completed"


async def test_retention_goes_on_after_the_storage_failed(start: Start) -> None:
    async with start(EventSettings(retention=10)) as log:
        log.storage.error = Unavailable("away")
        await asyncio.wait_for(log.storage.failed.wait(), 5)
        log.storage.error = None
        await log.add("r", *"x" * 30)
        await asyncio.wait_for(log.storage.pruned.wait(), 5)
        assert len(await log.stored("r")) == 10


@pytest.mark.parametrize(
    ("error", "told"),
    [(Unavailable("away"), "postponed"), (OSError("odd"), "failed")],
    ids=["unavailable", "unforeseen"],
)
async def test_a_pruning_that_fails_is_told_and_done_later(start: Start, error: Exception, told: str) -> None:
    async with start(EventSettings(retention=10)) as log:
        await log.add("r", *"x" * 9)
        log.storage.cannot_prune = error
        await log.add("r", *"x" * 9)
        await until(lambda: log.told.named(f"retention.{told}"))
        log.storage.cannot_prune = None
        await asyncio.wait_for(log.storage.pruned.wait(), 5)
        assert len(await log.stored("r")) == 10


async def test_what_the_last_start_left_is_pruned(start: Start) -> None:
    async with start(EventSettings(retention=0)) as log:
        await log.add("r", *"x" * 30)
    async with start(EventSettings(retention=10)) as log:
        await asyncio.wait_for(log.storage.pruned.wait(), 5)
        assert len(await log.stored("r")) == 10


async def test_after_a_wait_for_another_instance_a_few_gather_for_the_next_commit(log: Log) -> None:
    log.storage.waits_for_others = True
    await log.add("r", "a")
    adding = [asyncio.create_task(log.add("r", "b"))]
    await asyncio.sleep(0)
    adding.append(asyncio.create_task(log.add("r", "c")))
    await asyncio.gather(*adding)
    assert log.storage.batches == [1, 2]
