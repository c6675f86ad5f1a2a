"""What appending promises: order, keys, all or none, and that a bad one is refused alone."""

from __future__ import annotations

import pytest

from agentops.core.errors import Refusal
from agentops.core.ports.storage import Append, Appended
from agentops.core.records import NewEvent, now_ms
from agentops.core.rungs import Rungs
from agentops.testing._storage.base import (
    AnyStorage,
    MakeStorage,
    StorageTests,
    all_of,
    an_append,
    body,
    stored,
    whole_feed,
)

UNSTORABLE = {
    "nul-in-run": Append("p", "bad\0", [NewEvent(body())]),
    "nul-in-project": Append("p\0", "bad", [NewEvent(body())]),
    "nul-in-body": Append("p", "bad", [NewEvent(body()), NewEvent(body("\0"))]),
    "nul-in-key": Append("p", "bad", [NewEvent(body()), NewEvent(body(), "k\0")]),
    "surrogate-in-run": Append("p", "bad\ud800", [NewEvent(body())]),
    "surrogate-in-body": Append("p", "bad", [NewEvent(body()), NewEvent(body("\udfff"))]),
    "surrogate-in-key": Append("p", "bad", [NewEvent(body()), NewEvent(body(), "\ud800")]),
}

BODIES = {
    "unicode": '{"ts":1,"payload":"żółw 🐢 \u2028 \u2029"}',
    "escapes": r'{"ts":1,"payload":"\u0000\ud800\n\"\\"}',
    "big-number": '{"ts":1,"payload":123456789012345678901234567890.10e400}',
    "key-order-and-duplicates": '{"ts":1,"payload":{"b":1,"a":2,"b":3}}',
    "megabytes": f'{{"ts":1,"payload":"{"x" * 3_000_000}"}}',
}


class AppendContract(StorageTests):
    async def test_an_empty_key_is_a_key(self, storage: AnyStorage) -> None:
        (first,) = await stored(storage, an_append("run", keys=[""]))
        (again,) = await stored(storage, an_append("run", keys=[""]))
        assert list(again.ids) == list(first.ids)

    async def test_ids_grow_in_the_order_of_the_events(self, storage: AnyStorage) -> None:
        first, second = await stored(storage, an_append("run", "a", "b"), an_append("run", "c"))
        ids = [*first.ids, *second.ids]
        assert ids == sorted(set(ids))
        assert ids[0] > 0
        assert [(event.id, event.body) for event in await all_of(storage)] == [
            (event, body(text)) for event, text in zip(ids, "abc", strict=True)
        ]

    async def test_a_large_append_keeps_its_order(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run", *range(1234)))
        events = await all_of(storage)
        assert [event.id for event in events] == list(appended.ids) == sorted(set(appended.ids))
        assert [event.body for event in events] == [body(number) for number in range(1234)]

    @pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
    async def test_a_body_is_kept_as_it_was_sent(self, storage: AnyStorage, text: str) -> None:
        await stored(storage, Append("p", "run", [NewEvent(text)]))
        (event,) = await all_of(storage)
        assert event.body == text

    async def test_an_append_makes_its_run(self, storage: AnyStorage) -> None:
        before = now_ms()
        await stored(storage, an_append("new/☂", "a", "b"))
        run = await storage.get_run("p", "new/☂")
        assert run is not None
        assert (run.id, run.title, run.status, run.ended_at) == ("new/☂", "Run new/☂", "running", None)
        assert before <= run.started_at <= now_ms()
        assert run.event_count == 2

    async def test_an_append_tells_the_newest_id_before_and_after(self, storage: AnyStorage) -> None:
        first, second = await stored(storage, an_append("run", "a", "b"), an_append("run", "c"))
        (third,) = await stored(storage, an_append("run", "d"))
        assert (first.previous, first.last) == (0, first.ids[-1])
        assert (second.previous, second.last) == (first.last, second.ids[-1])
        assert (third.previous, third.last) == (second.last, third.ids[-1])
        assert third.kept == 4

    async def test_an_append_without_events_makes_the_run(self, storage: AnyStorage) -> None:
        (appended,) = await stored(storage, an_append("run"))
        assert (list(appended.ids), appended.previous, appended.last, appended.kept) == ([], 0, 0, 0)
        assert await storage.get_run("p", "run") is not None

    async def test_an_empty_batch_is_nothing(self, storage: AnyStorage) -> None:
        assert list(await storage.append([])) == []

    async def test_a_batch_may_bring_very_many_runs(self, storage: AnyStorage) -> None:
        appended = await stored(storage, *(an_append(f"run-{number}", number) for number in range(2_000)))
        assert len({one.ids[0] for one in appended}) == 2_000
        assert [event.body for event in await all_of(storage, "run-1999")] == [body(1999)]

    async def test_one_name_in_two_projects_is_two_runs(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("run", "mine", project="p"), an_append("run", "theirs", project="q"))
        assert [event.body for event in await all_of(storage, project="p")] == [body("mine")]
        assert [event.body for event in await all_of(storage, project="q")] == [body("theirs")]

    async def test_a_key_that_was_there_answers_with_the_event_stored(self, storage: AnyStorage) -> None:
        (first,) = await stored(storage, an_append("run", keys=["k"]))
        (again,) = await stored(storage, Append("p", "run", [NewEvent(body("other"), "k"), NewEvent(body("new"))]))
        assert again.ids[0] == first.ids[0] < again.ids[1]
        assert again.repeats == {0: body("k")}
        assert [event.body for event in await all_of(storage)] == [body("k"), body("new")]
        assert (again.kept, again.last) == (2, again.ids[1])

    async def test_a_repeated_key_alone_changes_nothing(self, storage: AnyStorage) -> None:
        (first,) = await stored(storage, an_append("run", keys=["k"]))
        (again,) = await stored(storage, an_append("run", keys=["k"]))
        assert (again.ids, again.previous, again.last, again.kept) == ([first.last], first.last, first.last, 1)

    async def test_a_key_twice_in_one_batch_is_stored_once(self, storage: AnyStorage) -> None:
        first, second = await stored(storage, an_append("run", keys=["k"]), an_append("run", keys=["k"]))
        assert list(first.ids) == list(second.ids)
        assert (first.repeats, second.repeats) == ({}, {0: body("k")})
        assert len(await all_of(storage)) == 1

    async def test_a_key_twice_in_one_append_is_stored_once(self, storage: AnyStorage) -> None:
        events = [NewEvent(body("first"), "k"), NewEvent(body("between")), NewEvent(body("second"), "k")]
        (appended,) = await stored(storage, Append("p", "run", events))
        assert appended.ids[0] == appended.ids[2] < appended.ids[1] == appended.last
        assert appended.repeats == {2: body("first")}
        assert [event.body for event in await all_of(storage)] == [body("first"), body("between")]

    async def test_a_key_counts_within_its_run_only(self, storage: AnyStorage) -> None:
        appended = await stored(
            storage,
            an_append("run", keys=["k"]),
            an_append("other", keys=["k"]),
            an_append("run", keys=["k"], project="q"),
        )
        assert len({one.ids[0] for one in appended}) == 3
        assert all(not one.repeats for one in appended)

    async def test_many_keys_are_all_known_again(self, storage: AnyStorage) -> None:
        keys = [f"key '{number}\" ü" for number in range(500)]
        (first,) = await stored(storage, an_append("run", keys=keys))
        (again,) = await stored(storage, an_append("run", keys=keys))
        assert list(first.ids) == list(again.ids)
        assert again.repeats == {position: body(key) for position, key in enumerate(keys)}

    async def test_a_final_status_ends_the_run_and_running_starts_it_again(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("run", "a", status="completed"))
        ended = await storage.get_run("p", "run")
        await stored(storage, an_append("run", "b", status="error"))
        failed = await storage.get_run("p", "run")
        await stored(storage, an_append("run", "c", status="running"))
        again = await storage.get_run("p", "run")
        assert ended is not None
        assert failed is not None
        assert again is not None
        assert (ended.status, failed.status, again.status) == ("completed", "error", "running")
        assert ended.ended_at is not None
        assert failed.ended_at == ended.ended_at
        assert again.ended_at is None

    async def test_an_append_without_status_leaves_it(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("run", "a", status="completed"), an_append("run", "b"))
        await stored(storage, an_append("run", "c"))
        run = await storage.get_run("p", "run")
        assert run is not None
        assert run.status == "completed"

    @pytest.mark.parametrize("bad", UNSTORABLE.values(), ids=UNSTORABLE)
    async def test_what_cannot_be_stored_is_refused_alone_and_wholly(self, storage: AnyStorage, bad: Append) -> None:
        before, verdict, after = await storage.append([an_append("run", "a"), bad, an_append("run", "b")])
        assert isinstance(before, Appended)
        assert isinstance(verdict, Refusal)
        assert verdict.status == 400
        assert isinstance(after, Appended)
        assert [event.body for event in await all_of(storage)] == [body("a"), body("b")]
        assert [item.run for item in await whole_feed(storage)] == ["run", "run"]
        assert await storage.get_run("p", "bad") is None

    async def test_a_refused_append_leaves_the_next_one_alone(self, storage: AnyStorage) -> None:
        await storage.append([Append("p", "run", [NewEvent(body("\udfff"))])])
        (appended,) = await stored(storage, an_append("run", "a"))
        assert [event.id for event in await all_of(storage)] == list(appended.ids)

    async def test_what_was_acknowledged_is_there_after_a_restart(self, make_storage: MakeStorage) -> None:
        before, after = make_storage(), make_storage()
        async with before.life(Rungs()):
            (first,) = await stored(before, an_append("run", "a", keys=["k"]))
        async with after.life(Rungs()):
            (second,) = await stored(after, an_append("run", "b", keys=["k"]))
            assert second.previous == first.last < second.last
            assert second.ids[1] == first.ids[1]
            assert [event.body for event in await all_of(after)] == [body("a"), body("k"), body("b")]

    async def test_an_id_is_never_given_twice(self, make_storage: MakeStorage) -> None:
        before, after = make_storage(), make_storage()
        async with before.life(Rungs()):
            (first,) = await stored(before, an_append("run", *range(10)))
            await before.prune("p", "run", 0)
        async with after.life(Rungs()):
            (second,) = await stored(
                after,
                an_append("run", "b"),
            )
            (elsewhere,) = await stored(after, an_append("other", "c"))
        assert max(first.ids) < min(second.ids) < min(elsewhere.ids)

    async def test_the_newest_id_is_told_for_a_run_and_for_all(self, storage: AnyStorage) -> None:
        assert await storage.last_id() == 0
        first, second = await stored(storage, an_append("run", "a"), an_append("other", "b"))
        assert await storage.last_id("p", "run") == first.last
        assert await storage.last_id("p", "other") == second.last
        assert await storage.last_id("q", "run") == 0
        assert await storage.last_id("p", "unknown\0\ud800") == 0
        assert await storage.last_id() == second.last
