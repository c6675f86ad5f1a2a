"""A replica answers what is final, and whatever happens to it, nothing is late, missing or refused."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest

from agentops import EventSettings, Secret
from agentops.core.eventlog import EventLog
from agentops.core.ports.storage import Append, Appended, PageQuery
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.bus.memory import Memory
from agentops.plugins.storage.postgres import Postgres, _replica, _replica_diagnosis
from agentops.plugins.storage.postgres._replica import Lag, Replica
from agentops.plugins.storage.postgres._replica_diagnosis import replica
from agentops.plugins.storage.postgres._standing import Standing, Unfit, require_fit
from tests.core.eventlog.faulty import read
from tests.core.parts import Kept, until
from tests.durability.own_postgres import own_postgres_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.durability.own_postgres import OwnPostgres, Standby

BYTES: Final = 10**6
TIMEOUT: Final = 0.5


@pytest.fixture(scope="module")
def primary(postgres_server: PostgresServer, server_folder: Path) -> Iterator[OwnPostgres]:
    with own_postgres_in(server_folder / "rp") as own:
        asyncio.run(Postgres(url=Secret(own.url)).migrate())
        yield own


@pytest.fixture(scope="module")
def standby(primary: OwnPostgres, server_folder: Path) -> Iterator[Standby]:
    with primary.followed(server_folder / "rs") as made:
        yield made


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_replica, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(_replica, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(_replica, "LONGEST_PAUSE", 0.1)


class Read:
    """A storage with a replica, what it tells, and a project of its own."""

    projects = 0

    def __init__(self, storage: Postgres, told: Kept, signals: Signals) -> None:
        Read.projects += 1
        self.project = f"p{Read.projects}"
        self.storage = storage
        self.told = told
        self.signals = signals

    async def add(self, count: int = 1, run: str = "r") -> list[int]:
        (appended,) = await self.storage.append([Append(self.project, run, [NewEvent('{"ts":1}')] * count)])
        assert isinstance(appended, Appended)
        return list(appended.ids)

    async def page(self, after: int = 0, limit: int = 10, max_bytes: int = BYTES, keep: int = 0) -> list[int]:
        query = PageQuery(self.project, "r", after, limit, max_bytes, keep)
        return [event.id for event in (await self.storage.page(query)).events]

    async def feed(self, after: str | None = None, limit: int = 10) -> list[int]:
        return [item.event.id for item in await self.storage.feed(self.project, after, limit, BYTES)]

    def pages_by(self, who: str) -> int:
        return sum(name == "pages.read" and labels == {"by": who} for _, name, _, labels in self.told.figures)

    @contextmanager
    def all_by(self, who: str) -> Iterator[None]:
        """Every page in the block is read there, and there is one."""
        before = {each: self.pages_by(each) for each in ("primary", "replica")}
        yield
        after = {each: self.pages_by(each) - before[each] for each in before}
        assert {each for each, count in after.items() if count} == {who}, after

    async def in_use(self) -> None:
        async with asyncio.timeout(20):
            while (await self.storage.health()).details["replica"] != "in use":
                pass

    async def out_of_use(self) -> str:
        await until(lambda: self.told.named("replica.lost"))
        return str(self.told.only("replica.lost")[1]["reason"])


@asynccontextmanager
async def reading(primary_url: str, replica_url: str, **settings: Any) -> AsyncIterator[Read]:
    told, signals = Kept(), Signals()
    values = {"replica_timeout_seconds": TIMEOUT, **settings}
    storage = Postgres(url=Secret(primary_url), replica_url=Secret(replica_url), **values)
    with signals.told_to(told):
        async with storage.life(Rungs(signals=signals)):
            yield Read(storage, told, signals)


@pytest.fixture
async def both(primary: OwnPostgres, standby: Standby) -> AsyncIterator[Read]:
    async with reading(primary.url, standby.url) as made:
        await made.in_use()
        yield made


async def caught_up(primary: OwnPostgres, standby: Standby) -> None:
    connection: Any = await asyncpg.connect(primary.url)
    place = await connection.fetchval("SELECT pg_current_wal_lsn()::text")
    await connection.close()
    async with asyncio.timeout(20):
        while not await standby.ask(f"SELECT pg_last_wal_replay_lsn() >= '{place}'"):
            pass


@asynccontextmanager
async def paused(standby: Standby) -> AsyncIterator[None]:
    await standby.run("SELECT pg_wal_replay_pause()")
    async with asyncio.timeout(20):
        while await standby.ask("SELECT pg_get_wal_replay_pause_state()") != "paused":
            pass
    try:
        yield
    finally:
        await standby.run("SELECT pg_wal_replay_resume()")


async def test_full_pages_are_read_from_the_replica(both: Read, primary: OwnPostgres, standby: Standby) -> None:
    ids = await both.add(30)
    await caught_up(primary, standby)
    with both.all_by("replica"):
        assert await both.page() == ids[:10]
        assert await both.page(ids[14]) == ids[15:25]
        assert await both.page(max_bytes=1) == ids[:1]
        assert await both.feed() == ids[:10]
    with both.all_by("primary"):
        assert await both.page(ids[24]) == ids[25:]


async def test_a_page_is_never_older_than_what_was_stored(both: Read, primary: OwnPostgres, standby: Standby) -> None:
    ids = await both.add(15)
    await caught_up(primary, standby)
    async with paused(standby):
        ids += await both.add(10)
        with both.all_by("replica"):
            assert await both.page() == ids[:10]
            items = await both.storage.feed(both.project, None, 10, BYTES)
            assert [item.event.id for item in items] == ids[:10]
        with both.all_by("primary"):
            assert await both.page(ids[9]) == ids[10:20]
            assert await both.page(ids[19]) == ids[20:]
            assert await both.feed(items[-1].cursor) == ids[10:20]


async def test_a_stream_has_no_gap_behind_a_replica_that_stands_still(
    both: Read, primary: OwnPostgres, standby: Standby
) -> None:
    ids = await both.add(1_500)
    await caught_up(primary, standby)
    async with paused(standby):
        ids += await both.add(1_500)
        log = EventLog(both.storage, Memory(), both.signals, EventSettings(retention=0))
        async with log.life():
            stream = await log.follow(both.project, "r", 0)
            feed = await log.follow_feed(both.project, "0")
            for each in (stream, feed):
                frames = [text for text in await read(each, len(ids) + 1) if b"data" in text]
                assert [int(text.partition(b'"id":"')[2].partition(b'"')[0]) for text in frames] == ids
                each.close()
            shown = await log.page(both.project, "r", ids[-4], 10)
            assert [event.id for event in shown[0]] == ids[-3:]
    assert both.pages_by("replica") >= 2


async def test_a_full_page_needs_no_primary(both: Read, primary: OwnPostgres, standby: Standby) -> None:
    ids = await both.add(30)
    await caught_up(primary, standby)
    with primary.frozen():
        async with asyncio.timeout(5):
            assert await both.page(ids[9]) == ids[10:20]
            assert await both.feed() == ids[:10]


async def test_whoever_goes_on_from_the_end_is_not_sent_to_the_replica(both: Read, standby: Standby) -> None:
    (first,) = await both.add()
    assert await both.page() == [first]
    items = await both.storage.feed(both.project, None, 10, BYTES)
    clock = asyncio.get_running_loop().time
    with standby.frozen():
        began = clock()
        assert await both.page(first) == []
        assert await both.feed(items[-1].cursor) == []
        assert clock() - began < TIMEOUT


async def test_a_gap_is_told_of_what_is_gone_and_of_nothing_else(
    both: Read, primary: OwnPostgres, standby: Standby
) -> None:
    ids = await both.add(40)
    await caught_up(primary, standby)
    query = PageQuery(both.project, "r", 0, 10, BYTES, keep=20)
    async with paused(standby):
        assert await both.storage.prune(both.project, "r", 20) == 20
        with both.all_by("replica"):
            # The replica still has what is pruned: its page starts where hidden events end on it, and says so.
            late = await both.storage.page(query)
        assert (late.oldest, [event.id for event in late.events]) == (ids[20], ids[20:30])
        with both.all_by("replica"):
            everything = await both.storage.page(query._replace(keep=0))
        assert (everything.oldest, [event.id for event in everything.events]) == (None, ids[:10])
        await both.add(60)
        with both.all_by("replica"):
            follow_up = await both.storage.page(query._replace(after=ids[25]))
        assert follow_up.oldest is None, "nothing was skipped, so there is no gap"
        with both.all_by("primary"):
            (gone,) = [await both.storage.page(query._replace(after=ids[35]))]
        assert gone.oldest == gone.events[0].id > ids[39]
    await caught_up(primary, standby)
    with both.all_by("replica"):
        assert (await both.storage.page(query._replace(keep=0))).oldest == ids[20]


async def test_a_transaction_that_is_open_holds_the_feed_on_the_replica_too(
    both: Read, primary: OwnPostgres, standby: Standby
) -> None:
    stranger: Any = await asyncpg.connect(primary.url)
    holding = stranger.transaction()
    await holding.start()
    await stranger.execute("SELECT pg_current_xact_id()")
    ids = await both.add(20)
    await caught_up(primary, standby)
    assert await both.feed() == []
    assert await both.storage._replica.ask(  # type: ignore[union-attr]
        lambda connection: connection.fetchval("SELECT count(*) FROM events WHERE run = (SELECT max(pk) FROM runs)")
    ) == len(ids), "the replica has them, and holds them back"
    await holding.rollback()
    await stranger.close()
    await both.add()
    await caught_up(primary, standby)
    assert await both.feed() == ids[:10], "from where a page ended, the primary is asked once"
    with both.all_by("replica"):
        assert await both.feed() == ids[:10]


async def test_a_replica_that_freezes_costs_one_time_out(both: Read, primary: OwnPostgres, standby: Standby) -> None:
    ids = await both.add(30)
    await caught_up(primary, standby)
    clock = asyncio.get_running_loop().time
    with standby.frozen():
        began = clock()
        assert await asyncio.gather(*(both.page() for _ in range(20))) == [ids[:10]] * 20
        assert clock() - began < 4 * TIMEOUT
        assert await both.out_of_use() == "no answer in time"
        began = clock()
        for _ in range(20):
            assert await both.page() == ids[:10]
        assert clock() - began < TIMEOUT
        assert (await both.storage.health()).status == "degraded"
    await both.in_use()
    with both.all_by("replica"):
        assert await both.page() == ids[:10]
    assert both.told.named("replica.back")


async def test_a_replica_that_dies_in_the_middle_fails_nothing(
    both: Read, primary: OwnPostgres, standby: Standby
) -> None:
    ids = await both.add(200)
    await caught_up(primary, standby)
    dying = asyncio.create_task(asyncio.to_thread(standby.crash))
    try:
        while not both.told.named("replica.lost"):
            pages = await asyncio.gather(*(both.page(ids[place]) for place in range(0, 180, 20)))
            assert pages == [ids[place + 1 : place + 11] for place in range(0, 180, 20)]
    finally:
        await dying
        await asyncio.to_thread(standby.start)
    await both.in_use()


async def test_a_conflict_with_replay_costs_only_that_page(both: Read, primary: OwnPostgres, standby: Standby) -> None:
    ids = await both.add(20)
    await caught_up(primary, standby)

    async def conflict(_connection: object) -> str:
        raise asyncpg.SerializationError("canceling statement due to conflict with recovery")

    replica = both.storage._replica
    assert replica is not None
    assert await replica.ask(conflict) is None
    with both.all_by("replica"):
        assert await both.page() == ids[:10]
    assert not both.told.named("replica.lost")


async def test_a_cursor_that_is_none_is_refused_by_the_primary(both: Read) -> None:
    from agentops.core.errors import BadRequest

    with pytest.raises(BadRequest):
        await both.feed("no cursor")
    assert not both.told.named("replica.lost")


async def test_what_is_no_standby_is_not_asked(primary: OwnPostgres, fresh_postgres_url: str) -> None:
    async with reading(primary.url, primary.url) as made:
        assert await made.out_of_use() == "it is not a standby, or no longer one"
        ids = await made.add(20)
        with made.all_by("primary"):
            assert await made.page() == ids[:10]
    async with reading(primary.url, fresh_postgres_url) as made:
        assert await made.out_of_use() == "UndefinedTableError"
    async with reading(primary.url, "postgresql://127.0.0.1:1/x") as made:
        assert await made.out_of_use() == "ConnectionRefusedError"
        assert made.told.only("replica.lost")[1]["place"] == "127.0.0.1:1, database 'x'"
        assert (await made.storage.health()).details == {"replica": "ConnectionRefusedError"}


async def test_a_primary_that_does_not_say_what_it_is_has_no_replica(both: Read) -> None:
    class NoPrimary:
        async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
            raise asyncpg.ObjectNotInPrerequisiteStateError("recovery is in progress")

    server = both.storage._standby
    assert server is not None
    replica = Replica(server, 1, TIMEOUT, NoPrimary(), both.signals)
    await replica._look()
    assert await both.out_of_use() == "ObjectNotInPrerequisiteStateError"
    await replica.close()


async def test_another_database_of_the_standby_is_not_asked(primary: OwnPostgres, standby: Standby) -> None:
    await primary.run("CREATE DATABASE other TEMPLATE template0")
    other = primary.url.replace("/postgres?", "/other?")
    await Postgres(url=Secret(other)).migrate()
    await caught_up(primary, standby)
    async with reading(primary.url, standby.url.replace("/postgres?", "/other?")) as made:
        assert await made.out_of_use() == "it is a standby of another database or server"


async def test_the_doctor_says_how_far_behind_it_is(
    both: Read, primary: OwnPostgres, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_replica_diagnosis, "PATIENCE_SECONDS", 0.1)
    server = both.storage._standby
    assert server is not None
    await caught_up(primary, standby)
    (well,) = await replica(both.storage, server)
    assert (well.weight, "behind" in well.problem.what) == ("fine", True)
    async with paused(standby):
        await both.add(10)
        (late,) = await replica(both.storage, server)
        assert late.weight == "advice"
        assert "bytes of what the primary wrote" in late.problem.what
        await until(lambda: [v for _, name, v, _ in both.told.figures if name == "replica.behind_seconds"][-1] > 0.1)
        assert (await both.storage.health()).details["replica_behind_seconds"] >= 0.1
    assert "replica" in [question.about for question in both.storage.questions(both.storage)]
    nowhere = Postgres(url=Secret(primary.url), replica_url=Secret("postgresql://127.0.0.1:1/x"))._standby
    assert nowhere is not None
    (away,) = await replica(both.storage, nowhere)
    assert (away.weight, away.problem.key) == ("risk", "replica_url")


def test_the_lag_is_for_how_long_something_has_been_missing() -> None:
    lag = Lag()
    assert lag.seconds(0, primary=100, standby=100) == 0
    assert lag.seconds(5, primary=200, standby=150) == 0
    assert lag.seconds(10, primary=300, standby=150) == 5
    assert lag.seconds(15, primary=400, standby=250) == 5
    assert lag.seconds(20, primary=400, standby=400) == 0


def test_a_replica_that_stands_still_for_a_year_takes_no_memory() -> None:
    lag = Lag()
    for second in range(10_000):
        assert lag.seconds(second, primary=second + 1, standby=0) == second
    assert len(lag._unseen) <= _replica._NOTED_MOST


async def test_a_replica_that_is_promoted_is_not_asked_any_more(
    primary: OwnPostgres, server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_replica, "LOOK_SECONDS", 60)  # what is answered has to tell
    with primary.followed(server_folder / "rx") as standby:
        async with reading(primary.url, standby.url) as made:
            await made.in_use()
            ids = await made.add(20)
            await caught_up(primary, standby)
            with made.all_by("replica"):
                assert await made.page() == ids[:10]
            await asyncio.to_thread(standby.promote)
            await standby.run("DELETE FROM events")
            with made.all_by("primary"):
                assert await made.page() == ids[:10]
            assert "standby" in await made.out_of_use()


@pytest.mark.parametrize(
    ("differs", "why"),
    [
        ({"is_standby": False}, "not a standby"),
        ({"database": "2/1"}, "another database or server"),
        ({"history": "1/1/00000001"}, "has not followed"),
        ({"history": ""}, "has not followed"),
        ({"revision": "0002"}, "schema is '0002'"),
    ],
    ids=["promoted", "stranger", "other-past", "no-past", "older-schema"],
)
def test_what_does_not_have_the_past_of_the_primary_is_not_fit(differs: dict[str, Any], why: str) -> None:
    primary = Standing(False, "1/1", "1/1/00000002", "0001", 100, None)
    standby = primary._replace(is_standby=True, come_to=50)
    require_fit(standby, primary)
    with pytest.raises(Unfit, match=why):
        require_fit(standby._replace(**differs), primary)
