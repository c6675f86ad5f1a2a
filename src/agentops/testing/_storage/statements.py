"""What is promised to a feature whose own changes go with an append: the same transaction, and refused together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from agentops.core.errors import Conflict, Refusal
from agentops.core.ports.storage import Append, Appended, Statement
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.testing._storage.base import AnyStorage, MakeStorage, StorageTests, all_of, an_append, body, stored

FULL = Conflict("the box is full")
MAKE = text("CREATE TABLE boxes (name VARCHAR(20) PRIMARY KEY, held INTEGER NOT NULL)")
SIZE = 3


def put(box: str, count: int = 1) -> Statement:
    """Into a box that is made when it is missing; refused when it has no room."""
    query = f"""
        INSERT INTO boxes (name, held) SELECT CAST(? AS TEXT), CAST(? AS BIGINT) WHERE CAST(? AS BIGINT) <= {SIZE}
        ON CONFLICT (name) DO UPDATE SET held = boxes.held + excluded.held
        WHERE boxes.held + excluded.held <= {SIZE} RETURNING name, held
    """
    return Statement(query, (box, count, count), FULL, (box,))


def add(box: str, count: int = 1) -> Statement:
    """To a box that is there, without any limit."""
    return Statement("UPDATE boxes SET held = held + ? WHERE name = ?", (count, box), None, (box,))


def add_named(box: str) -> Statement:
    """The same, put as a driver may not know it for a change."""
    query = """
        WITH wanted (box) AS (SELECT CAST(? AS TEXT))
        UPDATE boxes SET held = held + 1 FROM wanted WHERE boxes.name = wanted.box
    """
    return Statement(query, (box,), None, (box,))


def change(*statements: Statement, lasting: bool = True) -> Append:
    return Append("", "", (), None, statements, lasting)


def with_event(name: str, *statements: Statement) -> Append:
    return Append("p", "run", [NewEvent(body(name))], None, statements)


async def boxes(storage: AnyStorage) -> dict[str, int]:
    return {row[0]: row[1] for row in await storage.read_rows("SELECT name, held FROM boxes ORDER BY name")}


async def make_boxes(storage: AnyStorage) -> None:
    async with storage.write() as connection:
        await connection.execute(MAKE)


def bodies_of(answers: Sequence[Appended | Refusal]) -> list[bool]:
    return [isinstance(answer, Appended) for answer in answers]


class StatementContract(StorageTests):
    async def test_statements_are_carried_out_with_the_events(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        (appended,) = await stored(storage, with_event("a", put("x", 2), put("y"), put("x")))
        assert [tuple(row) for row in appended.rows] == [("x", 2), ("y", 1), ("x", 3)]
        assert [event.id for event in await all_of(storage)] == list(appended.ids)
        assert await boxes(storage) == {"x": 3, "y": 1}

    async def test_statements_alone_leave_every_run_alone(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        (appended,) = await stored(storage, Append("p", "run", (), None, [put("x")]))
        assert (list(appended.ids), appended.last, [tuple(row) for row in appended.rows]) == ([], 0, [("x", 1)])
        assert await storage.get_run("p", "run") is None
        assert await storage.last_id() == 0

    async def test_statements_alone_may_give_a_run_its_status(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        await stored(storage, Append("p", "run", (), "completed", [put("x")]))
        run = await storage.get_run("p", "run")
        assert run is not None
        assert (run.status, await boxes(storage)) == ("completed", {"x": 1})

    async def test_a_refused_statement_is_told_by_its_own_refusal(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        first, second = await storage.append([change(put("x", 3)), change(put("x"))])
        assert isinstance(first, Appended)
        assert second is FULL
        assert await boxes(storage) == {"x": 3}

    async def test_a_change_that_returns_nothing_is_refused_when_it_changes_nothing(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        for add_to in (add, add_named):
            assert list(await storage.append([change(add_to("missing")._replace(otherwise=FULL))])) == [FULL]
            added = change(put("x"), add_to("x")._replace(otherwise=FULL))
            assert bodies_of(await storage.append([added, change(add_to("missing")._replace(otherwise=FULL))])) == [
                True,
                False,
            ]
            assert await boxes(storage) == {"x": 2}
            await stored(storage, change(Statement("DELETE FROM boxes", ())))

    async def test_a_change_that_may_change_nothing_is_not_refused(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        (appended,) = await stored(storage, change(add("missing"), put("x")))
        assert [tuple(row) for row in appended.rows] == [("x", 1)]

    async def test_a_refused_statement_takes_its_append_back_and_no_other(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        answers = await storage.append(
            [
                with_event("a", put("x")),
                with_event("b", put("y"), put("x", 3)),
                change(put("y"), put("x", 3)),
                with_event("c", put("x")),
            ]
        )
        assert bodies_of(answers) == [True, False, False, True]
        assert (answers[1], answers[2]) == (FULL, FULL)
        assert [event.body for event in await all_of(storage)] == [body("a"), body("c")]
        assert await boxes(storage) == {"x": 2}

    async def test_a_statement_sees_those_before_it_in_the_batch(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        answers = await storage.append([change(put("x")) for _ in range(5)])
        assert bodies_of(answers) == [True, True, True, False, False]
        assert await boxes(storage) == {"x": 3}

    async def test_a_statement_that_fails_is_refused_alone(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        twice = Statement("INSERT INTO boxes (name, held) VALUES (?, 0)", ("x",))
        answers = await storage.append([with_event("a", put("x")), with_event("b", twice), with_event("c", put("x"))])
        assert bodies_of(answers) == [True, False, True]
        assert [event.body for event in await all_of(storage)] == [body("a"), body("c")]
        assert await boxes(storage) == {"x": 2}

    @pytest.mark.parametrize("value", ["\0", "\ud800"], ids=["nul", "surrogate"])
    async def test_a_value_that_cannot_be_stored_is_refused_alone(self, storage: AnyStorage, value: str) -> None:
        await make_boxes(storage)
        before, verdict, after = await storage.append([change(put("x")), change(put(value)), with_event("a", put("x"))])
        assert isinstance(verdict, Refusal)
        assert verdict.status == 400
        assert bodies_of([before, after]) == [True, True]
        assert await boxes(storage) == {"x": 2}

    async def test_what_need_not_last_is_there_at_once_and_after_a_restart(self, make_storage: MakeStorage) -> None:
        before, after = make_storage(), make_storage()
        async with before.life(Rungs()):
            await make_boxes(before)
            await stored(before, change(put("x"), lasting=False))
            assert await boxes(before) == {"x": 1}
            await stored(before, with_event("a", put("x")), change(put("y"), lasting=False))
        async with after.life(Rungs()):
            assert await boxes(after) == {"x": 2, "y": 1}

    async def test_cancelling_at_any_moment_carries_out_all_or_nothing(self, storage: AnyStorage) -> None:
        await make_boxes(storage)
        for turns in range(60):
            name = f"box-{turns}"
            task = asyncio.create_task(storage.append([Append("p", name, [NewEvent(body())], None, [put(name)])]))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        there = await boxes(storage)
        for turns in range(60):
            assert len(await all_of(storage, f"box-{turns}")) == there.get(f"box-{turns}", 0)

    async def test_many_who_change_the_same_lose_nothing_and_wait_in_no_circle(self, make_storage: MakeStorage) -> None:
        names = [f"box-{number}" for number in range(6)]
        async with AsyncExitStack() as stack:
            writers = [make_storage() for _ in range(4)]
            for writer in writers:
                await stack.enter_async_context(writer.life(Rungs()))
            await make_boxes(writers[0])
            await stored(writers[0], change(*(put(name) for name in names)))

            async def write(number: int, writer: AnyStorage) -> None:
                order = names if number % 2 else names[::-1]
                for turn in range(20):
                    run = an_append(f"run-{turn % 3}", number)
                    await stored(writer, run, *(change(add(name)) for name in order))

            await asyncio.gather(*(write(number, writer) for number, writer in enumerate(writers)))
            assert await boxes(writers[0]) == dict.fromkeys(names, 1 + 4 * 20)
