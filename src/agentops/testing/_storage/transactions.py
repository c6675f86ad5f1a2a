"""What is promised to features: whole transactions of their own, and to all, that a cancelled task harms nobody."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import text

from agentops.testing._storage.base import AnyStorage, StorageTests, all_of, an_append, stored

MAKE = text("CREATE TABLE notes (word VARCHAR(20) PRIMARY KEY, number INTEGER NOT NULL)")
PUT = text("INSERT INTO notes (word, number) VALUES (:word, 0)")
ADD = text("UPDATE notes SET number = number + 1 WHERE word = 'a'")


async def notes(storage: AnyStorage) -> list[tuple[str, int]]:
    async with storage.read() as connection:
        return [(row[0], row[1]) for row in await connection.execute(text("SELECT * FROM notes ORDER BY word"))]


async def make_notes(storage: AnyStorage) -> None:
    async with storage.write() as connection:
        await connection.execute(MAKE)
        await connection.execute(PUT, {"word": "a"})


class TransactionContract(StorageTests):
    @pytest_asyncio.fixture(autouse=True)
    async def nothing_fails_unseen(self) -> AsyncIterator[None]:
        """What fails where nobody awaits it goes to the loop's handler, and is found here."""
        unseen: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        yield
        gc.collect()
        assert unseen == []

    async def test_a_block_that_ends_is_committed(self, storage: AnyStorage) -> None:
        await make_notes(storage)
        assert await notes(storage) == [("a", 0)]

    async def test_rows_are_read_by_a_plain_query(self, storage: AnyStorage) -> None:
        await make_notes(storage)
        query = "SELECT word, number FROM notes WHERE word = ? AND number < ?"
        assert [list(row) for row in await storage.read_rows(query, "a", 1)] == [["a", 0]]
        assert list(await storage.read_rows(query, "b", 1)) == []

    async def test_a_block_that_raises_is_rolled_back(self, storage: AnyStorage) -> None:
        await make_notes(storage)

        async def put_and_fail() -> None:
            async with storage.write() as connection:
                await connection.execute(PUT, {"word": "b"})
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await put_and_fail()
        assert await notes(storage) == [("a", 0)]

    async def test_nobody_sees_what_is_not_committed(self, storage: AnyStorage) -> None:
        await make_notes(storage)
        async with storage.write() as connection:
            await connection.execute(PUT, {"word": "b"})
            assert await notes(storage) == [("a", 0)]

    async def test_no_change_is_lost_among_many(self, storage: AnyStorage) -> None:
        await make_notes(storage)

        async def add(number: int) -> None:
            async with storage.write() as connection:
                await connection.execute(ADD)
            await stored(storage, an_append("run", number))

        await asyncio.gather(*(add(number) for number in range(40)))
        assert await notes(storage) == [("a", 40)]
        assert len(await all_of(storage)) == 40

    async def test_a_cancelled_transaction_leaves_nothing_behind(self, storage: AnyStorage) -> None:
        await make_notes(storage)
        inside = asyncio.Event()

        async def hold() -> None:
            async with storage.write() as connection:
                await connection.execute(PUT, {"word": "b"})
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stored(storage, an_append("run", "a"))
        async with storage.write() as connection:
            await connection.execute(ADD)
        assert await notes(storage) == [("a", 1)]

    async def test_cancelling_at_any_moment_of_a_transaction_harms_nobody(self, storage: AnyStorage) -> None:
        await make_notes(storage)

        async def add_two() -> None:
            async with storage.write() as connection:
                await connection.execute(ADD)
                await connection.execute(ADD)

        for turns in range(60):
            task = asyncio.create_task(add_two())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        async with storage.write() as connection:
            await connection.execute(PUT, {"word": "b"})
        (_, number), (word, _) = await notes(storage)
        assert number % 2 == 0
        assert word == "b"

    async def test_cancelling_at_any_moment_of_an_append_stores_all_or_nothing(self, storage: AnyStorage) -> None:
        for turns in range(60):
            task = asyncio.create_task(storage.append([an_append(f"run-{turns}", "a", "b", "c")]))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await stored(storage, an_append("last", "a"))
        for turns in range(60):
            assert len(await all_of(storage, f"run-{turns}")) in {0, 3}

    async def test_a_cancelled_read_harms_nobody(self, storage: AnyStorage) -> None:
        await stored(storage, an_append("run", *range(100)))
        for turns in range(40):
            task = asyncio.create_task(all_of(storage))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        assert len(await all_of(storage)) == 100
