"""`agentops copy`: everything arrives as it is, nothing twice, and no part is ever served for the whole."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agentops.cli import progress
from agentops.core.ports.storage import Append, Appended, PageQuery
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.postgres._copying import _key_in_order
from agentops.plugins.storage.sqlite import Sqlite
from agentops.sql.copying import sides
from agentops.sql.copying.order import EVERY
from agentops.sql.copying.reading import pages
from agentops.sql.migrating import HEAD
from agentops.sql.migrations import STORED_REVISION
from agentops.sql.tables import events, metadata, runs, users
from tests.cli.copying import Move, event, fill, rows_of

if TYPE_CHECKING:
    from agentops.core.ports.storage import FeedItem, Storage
    from tests.cli.running import Folder


@pytest.fixture
async def move(folder: Folder, postgres_url: str) -> Move:
    made = Move(folder, postgres_url)
    await fill(made.path)
    return made


def test_no_table_is_left_out() -> None:
    assert {table.name for table in EVERY} == set(metadata.tables)


async def test_everything_arrives_as_it_is(move: Move) -> None:
    done = await move.copy()
    assert (done.code, done.err) == (0, "")
    await move.assert_equal()
    rows = rows_of(done.out)
    assert [row[0] for row in rows] == [table.name for table in EVERY]
    assert {row[-1] for row in rows} == {"equal"}
    assert next(row[1] for row in rows if row[0] == "events") == "21"
    assert done.out.splitlines()[-1].startswith("Copied 24 rows. Both are equal, and the target may be served.")


async def test_ids_go_on_behind_those_that_were_ever_given_out(move: Move) -> None:
    move.source("DELETE FROM events WHERE id > 15")
    assert (await move.copy()).code == 0
    async with move.new().life(Rungs()) as storage:
        assert await storage.last_id() == 21
        (stored,) = await storage.append([Append("default", "new", [event(1)])])
        assert isinstance(stored, Appended)
        assert stored.ids == [22]
        async with storage.write() as connection:
            made = "INSERT INTO {} DEFAULT VALUES RETURNING id"
            with pytest.raises(Exception, match="null value"):
                await connection.exec_driver_sql(made.format("audit"))
    assert await move.target(
        "SELECT last_value FROM audit_id_seq", "SELECT last_value FROM deliveries_id_seq", "SELECT max(pk) FROM runs"
    ) == [(3,), (2,), (4,)]


async def test_cursors_and_keys_of_clients_stay_good(move: Move) -> None:
    async with move.old().life(Rungs()) as storage:
        before = await seen(storage, "9")
        await storage.prune("default", "one", 3)
    assert (await move.copy()).code == 0
    async with move.new().life(Rungs()) as storage:
        assert await seen(storage, "9") == [item for item in before if item[1:] != ("one", 10)]
        assert await seen(storage, "21") == []
        assert (await storage.page(PageQuery("default", "one", 1, 10, 10**6))).oldest == 13
        assert [e.id for e in (await storage.page(PageQuery("default", "two/✓", 11, 10, 10**6))).events] == [14, 17, 20]
        (again,) = await storage.append([Append("default", "two/✓", [event(6)])])
        assert isinstance(again, Appended)
        assert (again.ids, list(again.repeats)) == ([20], [0])


async def seen(storage: Storage[Any], after: str) -> list[tuple[str, str, int]]:
    """What the feeds of both projects show behind a place."""
    found: list[tuple[str, FeedItem]] = []
    for project in ("default", "o"):
        found += [(project, item) for item in await storage.feed(project, after, 100, 10**6)]
    return [(project, item.run, item.event.id) for project, item in found]


async def test_while_a_server_has_it_open_the_copy_is_only_level(move: Move) -> None:
    """The server was asked for nothing yet: that it is there is enough."""
    there = ("--set", "storage.use=postgres", "--set", f"storage.url={move.url}")
    async with move.folder.serving() as server:
        level = await move.copy()
        assert level.code == 3
        assert level.out == "Copied 24 rows. The target is level with the source as it was a moment ago.\n"
        assert "Stop the server there, and run the same command again" in level.err
        closed = await move.folder.agentops("serve", "-c", "deployment.toml", *there)
        assert closed.code == 3
        assert "holds a part of another one: run the `agentops copy`" in closed.err
        doctor = await move.folder.agentops("doctor", "-c", "deployment.toml", *there)
        assert "the database holds a part of another one" in doctor.out
        async with httpx.AsyncClient() as client:
            posted = await client.post(f"{server.api}/runs/one/events", json=[{"type": "n"}] * 5)
            assert posted.json()["last"] == "26"
    done = await move.copy()
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1].startswith("Copied 5 rows.")
    await move.assert_equal()
    async with move.folder.serving(*there) as server, httpx.AsyncClient() as client:
        page = (await client.get(f"{server.api}/runs/one/events?after=19")).json()
    assert [found["id"] for found in page] == ["22", "23", "24", "25", "26"]


async def test_what_changed_and_went_meanwhile_is_brought_level(move: Move) -> None:
    with closing(sqlite3.connect(move.path)) as somebody:
        somebody.execute("SELECT * FROM runs").fetchall()
        assert (await move.copy()).code == 3
        async with move.old().life(Rungs()) as storage:
            await storage.prune("default", "one", 3)
            await storage.update_run("o", "one", "Another title", "error")
            await storage.append([Append("new", "run", [event(1)]), Append("default", "one", [event(50)])])
        move.source(
            "DELETE FROM sessions WHERE id = 's1'",
            "UPDATE users SET role = 'viewer', disabled_at = 3 WHERE id = 'b'",
            "INSERT INTO users VALUES ('z', 'o', 'Z', 'z', 'z', 'z', 'hash', 'user', 1, NULL)",
            "INSERT INTO sessions VALUES ('s0', 'z', 'x', 'h', NULL, NULL, NULL, 1, 9, NULL)",
            "UPDATE keys SET last_used_at = 99 WHERE id = 'K'",
            "DELETE FROM deliveries WHERE id = 1",
        )
        assert (await move.copy()).code == 3
        assert (await move.copy()).out.startswith("Copied 0 rows.")
    done = await move.copy()
    assert done.code == 0, done.err
    await move.assert_equal()


async def test_copying_tells_no_webhook(move: Move) -> None:
    """A run that failed and a key that was made are told by the database itself, were there anybody to tell."""
    deliveries = "SELECT count(*) FROM deliveries"
    before = move.source(deliveries)
    with closing(sqlite3.connect(move.path)) as somebody:
        somebody.execute("SELECT * FROM runs").fetchall()
        assert (await move.copy()).code == 3
        assert await move.target("SELECT count(*) FROM webhooks") == [(0,)]
        move.source("DROP TRIGGER run_failed", "UPDATE runs SET status = 'error'")
        assert (await move.copy()).code == 3
    assert (await move.copy()).code == 0
    assert await move.target("SELECT count(*) FROM webhooks") == [(1,)]
    assert await move.target(deliveries) == move.source(deliveries) == before == [(2,)]
    await move.target("UPDATE runs SET status = 'running'", "UPDATE runs SET status = 'error'")
    assert await move.target(deliveries) != before, "nothing would have told of it anyhow"


async def test_a_target_with_data_of_its_own_is_refused(move: Move) -> None:
    async with move.new().life(Rungs()) as storage:
        await storage.append([Append("default", "mine", [event(1)])])
    before = await move.target("SELECT * FROM events")
    done = await move.copy()
    assert done.code == 1
    assert "has data of its own, in projects, runs, events, and nothing is mixed with it" in done.err
    assert await move.target("SELECT * FROM events") == before
    async with move.new().life(Rungs()):
        pass


async def test_a_copy_that_is_whole_is_not_gone_on_with(move: Move) -> None:
    assert (await move.copy()).code == 0
    async with move.new().life(Rungs()) as storage:
        await storage.append([Append("default", "one", [event(9)])])
    done = await move.copy()
    assert "has data of its own" in done.err
    assert await move.target("SELECT max(id) FROM events") == [(22,)]


async def test_a_target_that_is_served_is_refused(move: Move) -> None:
    async with move.new().life(Rungs()) as storage:
        await storage.last_id()
        done = await move.copy()
    assert done.code == 3
    assert "of an agentops server or command are open to Postgres at" in done.err
    assert await move.target(STORED_REVISION) == [(HEAD,)], "it was taken for a copy all the same"
    assert (await move.copy()).code == 0


async def test_two_copies_into_one_target_do_not_meet(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentops.core.errors import StartError
    from agentops.plugins.storage.postgres import _claiming

    monkeypatch.setattr(_claiming, "LOCK_SECONDS", 1)
    async with move.new().copied_into():
        with pytest.raises(StartError, match="another copy into"):
            await move.new().copied_into().__aenter__()


async def test_another_source_is_refused(move: Move) -> None:
    with closing(sqlite3.connect(move.path)) as somebody:
        somebody.execute("SELECT * FROM runs").fetchall()
        assert (await move.copy()).code == 3
    move.path.rename(move.path.with_name("first.sqlite"))
    await fill(move.path)
    move.source("UPDATE runs SET name = 'another' WHERE pk = 1")
    done = await move.copy()
    assert done.code == 1
    assert "their first runs are not the same" in done.err
    move.path.with_name("first.sqlite").replace(move.path)
    assert (await move.copy()).code == 0


async def test_an_older_copy_of_the_source_is_refused(move: Move) -> None:
    assert (await move.folder.agentops("backup", "monday.sqlite", "-c", "deployment.toml")).code == 0
    async with move.old().life(Rungs()) as storage:
        await storage.append([Append("default", "one", [event(50)])])
        assert (await move.copy()).code == 3
    done = await move.copy("--set", "storage.path=monday.sqlite")
    assert done.code == 1
    assert "has given out 21 ids of events, and of these 22 are copied already" in done.err
    assert (await move.copy()).code == 0


@pytest.mark.parametrize(
    ("statement", "named", "column"),
    [
        ("UPDATE events SET body = 'a' || char(0) WHERE id = 4", "event 4 of run 'one' in project 'default'", "body"),
        ("UPDATE events SET body = CAST(x'61ff' AS text) WHERE id = 5", "event 5 of run 'two/✓'", "body"),
        ("UPDATE events SET body = x'6161' WHERE id = 6", "event 6 of run 'one' in project 'o'", "body"),
        ("UPDATE runs SET title = char(0) WHERE pk = 2", "row 2 of runs", "title"),
        ("UPDATE audit SET at = 'yesterday'", "row 1 of audit", "at"),
    ],
    ids=["nul", "bytes", "blob", "title", "no number"],
)
async def test_what_the_target_cannot_hold_is_named_and_not_altered(
    move: Move, statement: str, named: str, column: str
) -> None:
    move.source(statement)
    done = await move.copy()
    assert done.code == 1
    assert f"Error: {named}" in done.err
    assert f"cannot be copied: its {column} is" in done.err
    assert "sqlite3 FILE" in done.err
    move.source(done.err.partition('FILE "')[2].partition('"')[0])
    assert (await move.copy()).code == 0


async def test_a_difference_is_found_and_the_target_stays_closed(move: Move) -> None:
    with closing(sqlite3.connect(move.path)) as somebody:
        somebody.execute("SELECT * FROM runs").fetchall()
        assert (await move.copy()).code == 3
    await move.target("UPDATE events SET body = '{}' WHERE id = 12", "DELETE FROM events WHERE id = 17")
    done = await move.copy()
    assert done.code == 1
    assert "event 12 of run 'one' in project 'o' is another in the target: body" in done.err
    assert "Make it an empty database again" in done.err
    assert {row[-1] for row in rows_of(done.out) if row[0] != "events"} == {"equal"}
    assert "21 / 20" in done.out
    with pytest.raises(Exception, match="holds a part of another one"):
        await move.new().life(Rungs()).__aenter__()


async def test_verify_only_compares_and_changes_nothing(move: Move) -> None:
    assert (await move.copy()).code == 0
    same = await move.copy("--verify-only")
    assert (same.code, same.err) == (0, "")
    await move.target("INSERT INTO events (id, project, run, body) VALUES (99, 1, 1, '')")
    more = await move.copy("--verify-only")
    assert more.code == 1
    assert "event 99 of run 'one' in project 'default' is in the target, and the source has none" in more.err
    await move.target(
        "DELETE FROM events WHERE id = 21",
        "UPDATE users SET role = 'root' WHERE id = 'ä'",
        "DELETE FROM sessions WHERE id = 's1'",
    )
    different = await move.copy("--verify-only")
    assert different.code == 1
    assert "event 21 of run 'one' in project 'o' is in the source, and the target has none" in different.err
    assert "row 'ä' of users is another in the target: role" in different.err
    assert "row 's1' of sessions is in the source, and the target has none" in different.err
    assert [row[0] for row in rows_of(different.out) if row[-1] == "different"] == ["users", "sessions", "events"]
    with closing(sqlite3.connect(move.path)) as somebody:
        somebody.execute("SELECT * FROM runs").fetchall()
        assert (await move.copy("--verify-only")).code == 3


def test_texts_are_compared_in_the_order_of_their_bytes() -> None:
    """As SQLite orders them. The Postgres of the tests knows no language, so the query itself is looked at."""
    assert [_key_in_order(column) for column in (users.c.id, runs.c.pk)] == ['"id" COLLATE "C"', '"pk"']


async def test_events_stand_in_parts_of_the_target(move: Move) -> None:
    """However far apart their ids are, and room for more is made by the server as ever."""
    move.source(
        *(
            f"INSERT INTO events (id, project, run, body) VALUES ({number}, 1, 1, '{{}}')"
            for number in (1003, 1004, 900006)
        ),
        "UPDATE runs SET last_id = 900006, event_count = event_count + 3 WHERE pk = 1",
    )
    table = f'[storage]\nuse = "postgres"\nurl = "{move.url}"\npart_events = 1000\n'
    (move.folder.path / "new.toml").write_text(f'{table}[lanes.api]\npath = "/api"\nserve = ["runs"]')
    done = await move.folder.agentops("copy", "--from", "deployment.toml", "--to", "new.toml")
    assert done.code == 0, done.err
    await move.assert_equal()
    async with Postgres(url=Secret(move.url), part_events=1000).life(Rungs()) as storage:
        (stored,) = await storage.append([Append("default", "one", [event(number) for number in range(100, 120)])])
        assert isinstance(stored, Appended)
        assert stored.ids == list(range(900007, 900027))


async def test_a_source_without_runs(folder: Folder, postgres_url: str) -> None:
    move = Move(folder, postgres_url)
    assert (await folder.agentops("migrate", "-c", "deployment.toml")).code == 0
    assert (await move.copy()).code == 0
    async with move.new().life(Rungs()) as storage:
        assert await storage.last_id() == 0
        (stored,) = await storage.append([Append("default", "one", [event(1)])])
        assert isinstance(stored, Appended)
        assert stored.ids == [1]


async def test_sides_are_files_as_well(move: Move) -> None:
    lanes = '[lanes.api]\npath = "/api"\nserve = ["runs"]\n'
    (move.folder.path / "new.toml").write_text(
        f'[storage]\nuse = "postgres"\nurl = {{ env = "ELSEWHERE" }}\nmigrate = false\n{lanes}'
    )
    sides = ("--from", "deployment.toml", "--to", "new.toml")
    done = await move.folder.agentops("copy", *sides, ELSEWHERE=move.url)
    assert done.code == 0, done.err
    await move.assert_equal()


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        (["--from", "sqlite"], {}, 2, "Missing option '--to'"),
        (["--from", "sqlite", "--to", "postgres"], {}, 1, "Set DATABASE_URL=postgresql://"),
        (
            ["--from", "sqlite", "--to", "postgres"],
            {"DATABASE_URL": "mysql://u:sesame@h/d"},
            1,
            "DATABASE_URL.url: this",
        ),
        (
            ["--from", "sqlite", "--to", "postgres"],
            {"DATABASE_URL": "postgresql://u:sesame@127.0.0.1:1/d"},
            3,
            "127.0.0.1:1",
        ),
        (
            ["--from", "sqlite", "--to", "sqlite"],
            {},
            1,
            "from Sqlite to Sqlite, only from Sqlite to Postgres; `agentops ex",
        ),
        (["--from", "postgres", "--to", "sqlite"], {"DATABASE_URL": "postgresql://h/d"}, 1, "`agentops export` and"),
        (["--from", "nothing.toml", "--to", "postgres"], {}, 1, "nothing.toml"),
        (["--from", "sqlite", "--to", "sqllite"], {}, 1, "no deployment is called 'sqllite'"),
        (
            [
                "--from",
                "sqlite",
                "--to",
                "postgres",
                "--set",
                "storage.use=postgres",
                "--set",
                "storage.url=postgresql://h/d",
            ],
            {},
            1,
            "--from sqlite: the configuration in effect, deployment.toml, uses postgres",
        ),
        (
            ["--from", "sqlite", "--to", "postgres", "--set", "storage.path=none.sqlite"],
            {"DATABASE_URL": "postgresql://h/d"},
            3,
            "none.sqlite' to copy",
        ),
    ],
    ids=[
        "one side",
        "no address",
        "wrong address",
        "nobody there",
        "same",
        "back",
        "no file",
        "typo",
        "other",
        "no source",
    ],
)
async def test_wrong_usage_is_one_sentence(
    folder: Folder, arguments: list[str], environ: dict[str, str], code: int, said: str
) -> None:
    await fill(folder.path / "events.sqlite", 1)
    done = await folder.agentops("copy", *arguments, "-c", "deployment.toml", **environ)
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err
    assert "sesame" not in done.err
    assert not (folder.path / "none.sqlite").exists()


async def test_an_older_source_is_refused(move: Move) -> None:
    move.source("UPDATE agentops_revision SET version_num = '0003'")
    done = await move.copy()
    assert done.code == 3
    assert "is at schema revision '0003'" in done.err
    assert "agentops migrate" in done.err


async def test_a_copy_begun_by_another_version_is_not_gone_on_with(move: Move) -> None:
    with closing(sqlite3.connect(move.path)) as somebody:
        somebody.execute("SELECT * FROM runs").fetchall()
        assert (await move.copy()).code == 3
    await move.target("UPDATE agentops_copy SET revision = '0001'")
    done = await move.copy()
    assert done.code == 1
    assert "was begun by another version of this program, on schema '0001'" in done.err


async def test_nothing_is_left_of_the_copy_in_the_target(move: Move, fresh_postgres_url: str) -> None:
    def shape(tables: str) -> str:
        return f"SELECT table_name, column_name, data_type FROM information_schema.columns WHERE {tables} ORDER BY 1, 2"

    assert (await move.copy()).code == 0
    fresh = Move(move.folder, fresh_postgres_url)
    await fresh.new().migrate()
    of_ours = shape("table_schema = 'public' AND table_name NOT LIKE 'events_%'")
    assert await move.target(of_ours) == await fresh.target(of_ours)


async def test_a_database_without_tables_is_given_them(folder: Folder, fresh_postgres_url: str) -> None:
    move = Move(folder, fresh_postgres_url)
    await fill(move.path)
    assert (await move.copy()).code == 0
    await move.assert_equal()


async def test_a_page_is_bounded_by_its_bytes(folder: Folder) -> None:
    """Bodies may be megabytes, and pages are what is held in memory."""
    storage = Sqlite(path=str(folder.path / "events.sqlite"))
    async with storage.life(Rungs()):
        large = event(1, f'"{"x" * (sides.PAGE_BYTES // 2)}"')
        await storage.append([Append("default", "one", [large._replace(key=None)] * 5)])
    async with storage.copied_from() as source:
        found = [[row[0] for row in page] async for page in pages(source, events, None)]
    assert found == [[1, 2], [3, 4], [5]]


def test_without_a_terminal_it_says_now_and_then_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with progress.stages() as tell:
        tell("Copying events", 1_000, 5_000)
        tell("Copying events", 2_000, 5_000)
        tell("Verifying users", 3)
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.startswith("Copying events: 1,000, 4,000 left, 0/s")
    assert re.fullmatch(r"Copying events: 2,000, 3,000 left, [1-9][0-9,]+/s", second)
    assert third.startswith("Verifying users: 3, ")
