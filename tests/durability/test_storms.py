"""More than a Postgres takes, or one that does not answer: 503 in time, and it goes on by itself afterwards."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest

from agentops import Secret
from agentops.core.errors import Unavailable
from agentops.plugins.storage.postgres._pool import Pool
from agentops.sql import postgres_server
from agentops.sql.postgres_server import Server
from tests.durability.apps import Database, Plan
from tests.durability.ledger import Follower, at_work
from tests.durability.own_postgres import own_postgres_in
from tests.durability.processes import server
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.durability.own_postgres import OwnPostgres
    from tests.durability.processes import Server as ServerProcess
    from tests.durability.wire import Answer

POOL_SECONDS: Final = 0.5
STATEMENT_SECONDS: Final = 1.0
GRACE_SECONDS: Final = 0.2
CONNECT_SECONDS: Final = 1.0
BOUND_SECONDS: Final = 6.0
"""Well above what each answer may take by these settings, and well below a hang."""
STORM: Final = 500

IMPATIENT: Final = {
    "pool_timeout_seconds": POOL_SECONDS,
    "statement_timeout_seconds": STATEMENT_SECONDS,
    "connect_timeout_seconds": CONNECT_SECONDS,
}
PAGE: Final = "/api/runs/r/events"


@pytest.fixture(scope="module")
def own_postgres(postgres_server: PostgresServer, server_folder: Path) -> Iterator[OwnPostgres]:
    with own_postgres_in(server_folder / "storms") as own:
        yield own


def soon_tired() -> None:
    postgres_server.COMMAND_GRACE = GRACE_SECONDS  # type: ignore[misc]


@asynccontextmanager
async def serving(url: str, **settings: float) -> AsyncIterator[ServerProcess]:
    with server(Plan(Database("postgres", url, settings), probes=True), soon_tired) as served:
        await served.up()
        yield served


async def asked(served: ServerProcess, path: str, body: object = None) -> tuple[Answer, float]:
    """The answer, and how long it took."""
    clock = asyncio.get_running_loop().time
    async with await Connection.open(served.address) as connection:
        began = clock()
        answer = await (connection.get(path) if body is None else connection.post(path, body))
        return answer, clock() - began


async def storm(served: ServerProcess, count: int = STORM) -> Sequence[Answer]:
    """Pages, posts and lists of runs at once; each is answered in time, and a refusal says when to come back."""
    kinds: Sequence[tuple[str, object]] = [(PAGE, None), (PAGE, {"type": "tick"}), ("/api/runs", None)]
    found = await asyncio.gather(*(asked(served, *kinds[number % len(kinds)]) for number in range(count)))
    for answer, seconds in found:
        assert seconds < BOUND_SECONDS
        assert answer.status in {200, 201, 503}, answer
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"] in {"unavailable", "overloaded", "outcome_unknown"}
    return [answer for answer, _ in found]


async def all_refused(served: ServerProcess, count: int = STORM) -> Sequence[str]:
    """The codes with which a storm is refused; meanwhile the server is alive."""
    storming = asyncio.create_task(storm(served, count))
    live, _ = await asked(served, "/ops/live")
    assert live.status == 200
    assert not storming.done()
    answers = await storming
    assert {answer.status for answer in answers} == {503}
    return [answer.json()["error"] for answer in answers]


async def works_again(served: ServerProcess) -> None:
    questions: Sequence[tuple[str, object]] = [(PAGE, {"type": "after"}), (PAGE, None), ("/api/runs", None)]
    async with asyncio.timeout(20):
        for path, body in questions:
            while (await asked(served, path, body))[0].status == 503:
                pass


async def goes_on(served: ServerProcess, follower: Follower) -> None:
    """The stream that was open all the time gets what is stored now, and was not opened again."""
    answer, _ = await asked(served, PAGE, {"type": "after"})
    assert answer.status == 201
    await follower.has(int(answer.json()["id"]))


@asynccontextmanager
async def followed(served: ServerProcess) -> AsyncIterator[Follower]:
    answer, _ = await asked(served, PAGE, {"type": "before"})
    assert answer.status == 201
    follower = Follower(served.address, "/api/runs/r/stream", "0")
    async with at_work(follower):
        await follower.has(int(answer.json()["id"]))
        yield follower


async def test_everything_at_once_is_answered(postgres_url: str) -> None:
    async with serving(postgres_url) as served, followed(served) as follower:
        answers = await storm(served)
        assert [answer.status for answer in answers].count(503) == 0
        await goes_on(served, follower)
        assert follower.connections == 1


async def test_a_lock_that_a_stranger_holds_is_not_waited_for_without_end(postgres_url: str) -> None:
    async with serving(postgres_url, pool_size=1, **IMPATIENT) as served, followed(served) as follower:
        stranger: Any = await asyncpg.connect(postgres_url)
        try:
            holding = stranger.transaction()
            await holding.start()
            await stranger.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
            assert "overloaded" in await all_refused(served), "who waits is bounded"
            await holding.rollback()
        finally:
            await stranger.close()
        await works_again(served)
        await goes_on(served, follower)


async def test_a_postgres_without_room_refuses_and_is_asked_again(own_postgres: OwnPostgres) -> None:
    await own_postgres.run("ALTER SYSTEM SET max_connections = 12")
    await asyncio.to_thread(own_postgres.crash)
    await asyncio.to_thread(own_postgres.start)
    async with serving(own_postgres.url, pool_size=4, **IMPATIENT) as served, followed(served) as follower:
        await own_postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'agentops' AND pid <> pg_backend_pid()"
        )
        others = list[Any]()
        try:
            with suppress(asyncpg.TooManyConnectionsError):
                while True:
                    others.append(await asyncpg.connect(own_postgres.url))
            assert set(await all_refused(served, 100)) == {"unavailable"}
        finally:
            for other in others:
                await other.close()
        await works_again(served)
        await goes_on(served, follower)


async def test_a_postgres_that_freezes_is_not_waited_for_without_end(own_postgres: OwnPostgres) -> None:
    async with serving(own_postgres.url, pool_size=2, **IMPATIENT) as served, followed(served) as follower:
        with own_postgres.frozen():
            await all_refused(served)
            await all_refused(served, 30)
        await works_again(served)
        await goes_on(served, follower)


async def test_a_server_ends_in_time_beside_a_postgres_that_froze(own_postgres: OwnPostgres) -> None:
    async with serving(own_postgres.url) as served, followed(served):
        await asyncio.gather(*(asked(served, "/api/runs") for _ in range(10)))
        with own_postgres.frozen():
            served.terminate()
            assert await served.ended(within=5) == 0, "the stop is too slow"


@pytest.fixture
async def pool(own_postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setattr(postgres_server, "COMMAND_GRACE", GRACE_SECONDS)
    pool = Pool(Server(Secret(own_postgres.url), STATEMENT_SECONDS / 4, STATEMENT_SECONDS).connect, 1, POOL_SECONDS)
    yield pool
    await pool.close()


async def one(pool: Pool) -> int:
    async with pool.driver() as connection:
        answer: int = await connection.fetchval("SELECT 1")
        return answer


@pytest.mark.parametrize("patience", [0.1, 2 * STATEMENT_SECONDS], ids=["given-up", "timed-out"])
async def test_a_read_that_got_no_answer_leaves_nothing_that_hangs(
    own_postgres: OwnPostgres, pool: Pool, patience: float
) -> None:
    assert await one(pool) == 1
    with own_postgres.frozen():
        unanswered = asyncio.create_task(one(pool))
        await asyncio.wait({unanswered}, timeout=patience)
        unanswered.cancel()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(one(pool), STATEMENT_SECONDS)
        with pytest.raises((Unavailable, asyncio.CancelledError)):
            await unanswered
    assert await one(pool) == 1
