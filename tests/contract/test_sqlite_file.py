"""What is SQLite's alone: the file, its disk and its other users, checks before a start, and copies while serving."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.errors import Conflict, StartError, Unavailable
from agentops.core.ports.backup import Backup
from agentops.core.ports.storage import Append, Appended, PageQuery, RunQuery, Statement
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.plugins.storage.sqlite import Sqlite, SqliteSettings, _connections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from agentops.plugins.storage.sqlite._connections import Synchronous

LETTER = b"this is a letter, and no database" * 100
BIG = '{"ts":1,"payload":"' + "x" * 100_000 + '"}'


def some(run: str = "run", count: int = 1, body: str = '{"ts":1}') -> Append:
    return Append("p", run, [NewEvent(body)] * count)


async def count_of(storage: Sqlite, run: str = "run") -> int:
    return len((await storage.page(PageQuery("p", run, 0, 100_000, 10**9))).events)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "with space & é?#%41.sqlite"


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter"
    path.write_bytes(LETTER)
    return path


def is_the_letter(path: Path) -> bool:
    return path.read_bytes() == LETTER


def files_in(folder: Path) -> set[str]:
    """The files that stay; SQLite's own beside a database in use come and go."""
    return {entry.name for entry in folder.iterdir() if not entry.name.endswith(("-wal", "-shm"))}


@pytest.fixture
async def storage(path: Path) -> AsyncIterator[Sqlite]:
    storage = Sqlite(SqliteSettings(path=str(path)))
    async with storage.life(Rungs()):
        yield storage


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def another_process_writes(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
    finally:
        connection.close()


async def test_a_full_disk_refuses_all_and_keeps_serving_when_there_is_room_again(storage: Sqlite) -> None:
    await storage.append([some(count=3, body=BIG)])
    with no_room_beyond(50_000):
        for _ in range(3):
            with pytest.raises(Unavailable, match="disk"):
                await storage.append([some(), some(count=3, body=BIG)])
        assert await count_of(storage) == 3
        with pytest.raises(Unavailable):
            await storage.create_run("p", "new", BIG, "running")
    (appended,) = await storage.append([some(count=2, body=BIG)])
    assert isinstance(appended, Appended)
    assert await count_of(storage) == 5
    assert await storage.get_run("p", "new") is None
    assert (await storage.create_run("p", "new", "title", "running"))[1]


async def test_a_full_database_refuses_what_does_not_fit(storage: Sqlite) -> None:
    await storage._writer.run(lambda connection: connection.execute("PRAGMA max_page_count = 40").close())
    with pytest.raises(Unavailable, match="full"):
        await storage.append([some(count=9, body=BIG)])
    assert await count_of(storage) == 0
    (appended,) = await storage.append([some(count=9, body=BIG)])
    assert isinstance(appended, Appended)


async def test_another_process_is_waited_for(storage: Sqlite, path: Path) -> None:
    with another_process_writes(path) as other:
        waiting = asyncio.create_task(storage.append([some()]))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        other.execute("COMMIT")
    (appended,) = await waiting
    assert isinstance(appended, Appended)


async def test_another_process_that_does_not_end_makes_it_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connections, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr("agentops.plugins.storage.sqlite.storage.BUSY_SECONDS", 0.05)
    storage = Sqlite(SqliteSettings(path=str(path)))
    async with storage.life(Rungs()):
        with another_process_writes(path):
            with pytest.raises(Unavailable, match="another process"):
                await storage.append([some()])
            with pytest.raises(Unavailable, match="another process"):
                await storage.create_run("p", "run", "title", "running")
            assert await count_of(storage) == 0
        (appended,) = await storage.append([some()])
        assert isinstance(appended, Appended)


async def test_an_event_larger_than_the_database_can_hold_is_refused_alone(storage: Sqlite) -> None:
    await storage._writer.run(lambda connection: connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 50_000))
    before, refused, after = await storage.append([some(), some(body=BIG), some()])
    assert isinstance(before, Appended)
    assert not isinstance(refused, Appended)
    assert refused.status == 413
    assert isinstance(after, Appended)
    assert await count_of(storage) == 2


async def test_names_are_found_whatever_the_case_of_their_letters(storage: Sqlite) -> None:
    await storage.create_run("p", "run", "ÜBERSICHT", "running")
    assert len(await storage.list_runs("p", RunQuery(10, text="übersicht"))) == 1


@pytest.mark.parametrize(("setting", "level"), [("full", 2), ("normal", 1)])
async def test_each_commit_waits_for_the_disk_as_configured(path: Path, setting: str, level: int) -> None:
    assert SqliteSettings().synchronous == "full"
    storage = Sqlite(SqliteSettings(path=str(path), synchronous="normal" if setting == "normal" else "full"))
    async with storage.life(Rungs()):
        appends = await storage._writer.run(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
        async with storage.write() as connection:
            features = (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one()
            mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one()
    assert (appends, features, mode) == ((level,), level, "wal")


@pytest.mark.parametrize(("setting", "level", "softly"), [("full", 2, 1), ("normal", 1, 1)])
async def test_what_need_not_last_does_not_wait_for_the_disk(
    path: Path, setting: Synchronous, level: int, softly: int
) -> None:
    look = Statement("SELECT synchronous FROM pragma_synchronous", ())
    lasting, soft = Append("", "", (), None, [look]), Append("", "", (), None, [look], lasting=False)
    refused = soft._replace(statements=[Statement("UPDATE runs SET pk = 1 WHERE 0", (), Conflict("no"))])
    storage = Sqlite(SqliteSettings(path=str(path), synchronous=setting))

    async def levels(*batch: Append) -> list[int | None]:
        return [each.rows[0][0] if isinstance(each, Appended) else None for each in await storage.append(batch)]

    async with storage.life(Rungs()):
        for _ in range(3):
            assert await levels(soft) == [softly]
            assert await levels(refused, soft) == [None, softly]
            assert await levels(soft, lasting) == [level, level]


async def test_readers_cannot_write(storage: Sqlite) -> None:
    async def try_to_write() -> None:
        async with storage.read() as connection:
            await connection.exec_driver_sql("DELETE FROM events")

    with pytest.raises(Unavailable, match="read-only"):
        await try_to_write()


async def test_a_backup_made_while_serving_is_whole(storage: Sqlite, path: Path, tmp_path: Path) -> None:
    assert isinstance(storage, Backup)
    await storage.append([some(count=100, body=BIG)])
    told: list[tuple[int, int]] = []
    copying = asyncio.create_task(storage.backup(tmp_path / "copy.sqlite", lambda *step: told.append(step)))
    writes = 0
    while not copying.done():
        await storage.append([some("meanwhile")])
        writes += 1
    await copying
    copy = Sqlite(SqliteSettings(path=str(tmp_path / "copy.sqlite"), migrate=False))
    async with copy.life(Rungs()):
        assert await count_of(copy) == 100
        assert await count_of(copy, "meanwhile") <= writes
        (appended,) = await copy.append([some()])
        assert isinstance(appended, Appended)
    assert len(told) > 1
    assert told[-1][0] == told[-1][1]
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o077 == 0
    assert files_in(tmp_path) == {"copy.sqlite", path.name}


async def test_a_backup_never_writes_over_a_file(storage: Sqlite, letter: Path) -> None:
    with pytest.raises(StartError, match="exists already"):
        await storage.backup(letter, lambda *_: None)
    assert is_the_letter(letter)


async def test_a_backup_into_no_folder_says_so(storage: Sqlite, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot write"):
        await storage.backup(tmp_path / "none" / "copy", lambda *_: None)


def test_a_good_place_has_no_problem(path: Path) -> None:
    assert list(Sqlite(SqliteSettings(path=str(path))).check()) == []
    assert not path.exists()


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (problem,) = Sqlite(SqliteSettings(path=str(tmp_path))).check()
    assert "is a folder" in problem.what


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    (problem,) = Sqlite(SqliteSettings(path=str(tmp_path / "none" / "file"))).check()
    assert "does not exist" in problem.what


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_the_folder_must_be_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    (problem,) = Sqlite(SqliteSettings(path=str(tmp_path / "file"))).check()
    assert "cannot be written" in problem.what


async def test_a_file_that_is_no_database_is_refused_at_start(letter: Path) -> None:
    with pytest.raises(StartError, match="not a database"):
        await Sqlite(SqliteSettings(path=str(letter))).life(Rungs()).__aenter__()


async def test_a_start_in_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot open"):
        await Sqlite(SqliteSettings(path=str(tmp_path / "none" / "file"))).life(Rungs()).__aenter__()


def test_a_connection_whose_opening_was_cancelled_is_closed_when_the_storage_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread would answer to a loop that is closed."""
    storage = Sqlite(path=str(tmp_path / "agentops.sqlite"))
    asyncio.run(storage.migrate())
    opening, opened = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def open_slowly(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        threads.append(threading.current_thread())
        opening.set()
        assert opened.wait(10)
        return sqlite3.Connection(*args, **kwargs)

    async def cancel_and_stop() -> None:
        async with storage.life(Rungs()):
            monkeypatch.setattr("aiosqlite.core.sqlite3.connect", open_slowly)
            reading = asyncio.create_task(storage.overfull(0))
            assert await asyncio.to_thread(opening.wait, 10)
            reading.cancel()
            await asyncio.wait([reading])
            threading.Timer(0.05, opened.set).start()
        assert [thread for thread in threads if thread.is_alive()] == []

    asyncio.run(cancel_and_stop())
