"""`agentops doctor` on deployments that are well, and on those that are not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from agentops import __version__
from agentops.plugins.storage.sqlite import Sqlite
from agentops.sql.migrating import HEAD
from agentops.sql.migrations import REVISIONS
from tests.durability.own_redis import OwnRedis as Redis
from tests.core.parts import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
    from pathlib import Path

    from tests.cli.running import Folder

SECRET = "canary-of-the-operator-1"
LONGEST = 12
"""Seconds within which a page is there, whatever is frozen: three for what hangs, the rest for a slow machine."""
DAY_MS = 24 * 60 * 60 * 1000

CONFIG = """
[server]
port = 0

[storage]
use = "sqlite"
path = "events.sqlite"

[telemetry.figures]
use = "prometheus"

[auth.key]
use = "static-key"
keys = [{ env = "TEST_KEY" }]
permissions = ["*"]

[lanes.api]
path = "/api"
auth = ["key"]
serve = ["runs", "operations"]
errors = "plain"
"""


@pytest.fixture
def folder(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """One that nobody finds fault with."""
    monkeypatch.setenv("TEST_KEY", SECRET)
    (folder.path / "deployment.toml").write_text(CONFIG)
    folder.path.chmod(0o700)
    return folder


class Told(NamedTuple):
    """What a command found, by weight."""

    code: int
    said: dict[str, Any]
    seconds: float

    def found(self, weight: str) -> list[dict[str, str]]:
        return [finding for finding in self.said["findings"] if finding["weight"] == weight]

    def of(self, key: str) -> dict[str, str]:
        """The one finding at this key."""
        found: list[dict[str, str]] = [finding for finding in self.said["findings"] if finding["key"] == key]
        (finding,) = found
        return finding


async def told(folder: Folder, *arguments: str, **environ: str) -> Told:
    began = time.monotonic()
    done = await folder.agentops("doctor", "-c", "deployment.toml", "--json", *arguments, **environ)
    seconds = time.monotonic() - began
    assert done.err == ""
    assert SECRET not in done.out
    assert seconds < LONGEST
    return Told(done.code, json.loads(done.out), seconds)


def sql(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


async def migrated(folder: Folder) -> Path:
    """The database of one that was served and has stopped."""
    path = folder.path / "events.sqlite"
    await Sqlite(path=str(path)).migrate()
    return path


async def test_one_that_is_well(folder: Folder) -> None:
    async with folder.serving() as server:
        done = await folder.agentops("doctor", "-c", "deployment.toml", "--url", server.url, "--key", SECRET)
        as_json = await told(folder, "--url", server.url, AGENTOPS_API_KEY=SECRET)
    assert (done.code, done.err) == (0, "")
    head, _, fine = done.out.splitlines()
    assert head == f"agentops {__version__} · deployment.toml · {server.url}"
    for fact in ("answers in ", f"version {__version__}", "ready", "parts are healthy", f"schema {HEAD}", "MB free"):
        assert fact in fine
    assert SECRET not in done.out
    assert (as_json.code, as_json.said["findings"]) == (0, [])
    assert as_json.said["version"] == __version__
    assert "failing routes" in as_json.said["fine"]


async def test_it_leaves_nothing_behind(folder: Folder) -> None:
    """SQLite makes a log beside a file that is only read, and would leave it to whoever owns the server."""

    def everything() -> dict[str, tuple[bytes, float]]:
        return {each.name: (each.read_bytes(), each.stat().st_mtime) for each in folder.path.iterdir()}

    before = everything()
    assert (await told(folder)).code == 3
    assert everything() == before
    await migrated(folder)
    before = everything()
    assert f"schema {HEAD}" in (await told(folder)).said["fine"]
    assert everything() == before


async def test_mistakes_of_the_configuration_are_all_there_is_to_say(folder: Folder) -> None:
    wrong = ("--set", "server.prot=1", "--set", "lanes.api.auth=['lock']")
    found = await told(folder, *wrong)
    assert found.code == 1
    assert [finding["key"] for finding in found.found("failing")] == ["server.prot", "lanes.api.auth"]
    routes = ("--set", "limiter.use=memory", "--set", 'lanes.api.limits.routes={"GET /rums"=["1/s"]}')
    done = await folder.agentops("doctor", "-c", "deployment.toml", *routes)
    assert done.code == 1
    assert "no route is 'GET /rums'" in done.out


async def test_neither_a_server_nor_a_database(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = await told(folder, "--set", f"server.port={port}")
    assert found.code == 3
    assert "connection refused" in found.of("server")["what"]
    assert "agentops serve" in found.of("server")["remedy"]
    assert f"there is no database '{folder.path / 'events.sqlite'}'" in found.of("storage")["what"]
    assert len(found.said["findings"]) == 2
    assert not (folder.path / "events.sqlite").exists()
    assert "--url" in (await told(folder)).of("server.port")["remedy"]


async def test_a_page_for_people_is_told_worst_first(folder: Folder) -> None:
    async with folder.serving() as server:
        sql(folder.path / "events.sqlite", f"UPDATE agentops_revision SET version_num = '{REVISIONS[0]}'")
        open_lane = ("--set", "server.host=0.0.0.0", "--set", "lanes.api.auth=[]", "--set", "lanes.api.open=true")
        done = await folder.agentops("doctor", "-c", "deployment.toml", "--url", server.url, *open_lane)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines.index("Failing") < lines.index("Worth knowing") < len(lines) - 1
    at = next(number for number, line in enumerate(lines) if line.startswith("  storage: "))
    assert lines[at] == (
        f"  storage: the database is at schema revision '{REVISIONS[0]}', and this program needs '{HEAD}'"
    )
    assert lines[at + 1].startswith("    why  ")
    assert lines[at + 2].startswith("    do   run `agentops migrate`")
    assert any(line.startswith("  lanes.api.auth: /api is open") for line in lines)


async def test_a_frozen_server(folder: Folder) -> None:
    async with folder.serving() as server:
        server.process.send_signal(signal.SIGSTOP)
        found = await told(folder, "--url", server.url)
        server.process.send_signal(signal.SIGCONT)
    assert found.code == 3
    assert found.of("server")["what"].endswith("no answer within 3 s")
    assert f"schema {HEAD}" in found.said["fine"]


Answers = dict[str, tuple[int, str]]
WELL: Answers = {
    "/healthz": (200, '{"status": "ok"}'),
    "/api/live": (200, '{"status": "alive"}'),
    "/api/ready": (200, '{"status": "ready"}'),
    "/api/health": (200, '{"status": "healthy", "components": {}}'),
    "/api/performance": (200, "[]"),
    "/schema/openapi.json": (200, f'{{"info": {{"version": "{__version__}"}}}}'),
}


@asynccontextmanager
async def answering(answers: Answers, headers: str = "") -> AsyncGenerator[str]:
    """Something that answers as it is told, and not as it should."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        status, body = answers.get(path, (404, ""))
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


FIGURES = '[{"method": "GET", "route": "/a", "count": 100, "errors": 2}]'


def health(status: str) -> str:
    component = {"status": status, "response_time_ms": 1, "critical": True, "checked_at": 1, "details": {"why": "gone"}}
    return json.dumps({"status": status, "components": {"bus": component}})


class Ill(NamedTuple):
    """What a server answers otherwise than a healthy one, and what is said of that."""

    answers: Answers
    weight: str
    said: str
    code: int
    headers: str = ""


ILL = {
    "a stranger": Ill({"/healthz": (200, "hello")}, "failing", "is no agentops server", 1),
    "an old one": Ill(
        {"/schema/openapi.json": (200, '{"info": {"version": "0.0.9"}}')}, "risk", "it is version '0.0.9'", 1
    ),
    "no version": Ill({"/schema/openapi.json": (404, "")}, "unanswered", "/schema/openapi.json answers 404", 3),
    "draining": Ill({"/api/ready": (503, '{"status": "draining"}')}, "failing", "/api/ready answers 503 draining", 1),
    "not alive": Ill({"/api/live": (500, "")}, "failing", "/api/live answers 500", 1),
    "unhealthy": Ill({"/api/health": (503, health("unhealthy"))}, "failing", "bus is unhealthy: why gone", 1),
    "degraded": Ill({"/api/health": (200, health("degraded"))}, "risk", "bus is degraded: why gone", 1),
    "no report": Ill({"/api/health": (200, "hello")}, "unanswered", "/api/health answers 200 and no report", 3),
    "failing routes": Ill({"/api/performance": (200, FIGURES)}, "risk", "GET /a failed 2 of 100 times", 1),
    "no figures": Ill({"/api/performance": (200, "hello")}, "unanswered", "no figures", 3),
    "key refused": Ill({"/api/performance": (403, "")}, "advice", "the key was refused (403)", 0),
    "late": Ill({}, "risk", "s behind this machine's", 1, "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"),
}


@pytest.mark.parametrize("ill", ILL.values(), ids=ILL)
async def test_a_server_that_is_not_well(folder: Folder, ill: Ill) -> None:
    await migrated(folder)
    async with answering(WELL | ill.answers, ill.headers) as url:
        found = await told(folder, "--url", url, "--key", SECRET)
    assert found.code == ill.code
    (finding,) = found.said["findings"]
    assert (finding["weight"], finding["key"]) == (ill.weight, "server")
    assert ill.said in finding["what"]


async def test_few_failures_of_many_are_no_finding(folder: Folder) -> None:
    await migrated(folder)
    few = FIGURES.replace("100", "1000")
    async with answering(WELL | {"/api/performance": (200, few)}) as url:
        assert (await told(folder, "--url", url, "--key", SECRET)).code == 0


async def test_what_drips_does_not_hold_the_page(folder: Folder) -> None:
    gone = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while not gone.is_set():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        gone.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await told(folder, "--url", f"http://127.0.0.1:{port}")
        await gone.wait()
    assert found.code == 3
    assert "no answer within 3 s" in found.of("server")["what"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "ftp://x"), "write it like https://ops.example.com"),
        (("--url", f"http://me:{SECRET}@x"), "a name or a password"),
        (("--key", "kéy"), "a header cannot carry"),
    ],
    ids=["url", "password", "key"],
)
async def test_what_cannot_be_asked_for(folder: Folder, arguments: tuple[str, ...], said: str) -> None:
    done = await folder.agentops("doctor", "-c", "deployment.toml", *arguments)
    assert done.code == 2
    assert said in done.err
    assert SECRET not in done.err


@pytest.mark.parametrize("stored", [REVISIONS[0], "9999", None])
async def test_a_schema_that_is_not_this_programs(folder: Folder, stored: str | None) -> None:
    change = f"UPDATE agentops_revision SET version_num = '{stored}'" if stored else "DROP TABLE agentops_revision"
    sql(await migrated(folder), change)
    finding = (await told(folder)).of("storage")
    assert finding["weight"] == "failing"
    assert f"revision {stored or 'none'!r}" in finding["what"]
    assert ("newer version" if stored == "9999" else "agentops migrate") in finding["remedy"]


async def test_a_file_that_is_no_database(folder: Folder) -> None:
    (folder.path / "events.sqlite").write_text("no database, for sure, " * 50)
    found = await told(folder)
    assert found.code == 3
    assert "the file is not a database" in found.of("storage")["what"]


async def test_the_files_of_a_database(folder: Folder) -> None:
    """The log is one as a reader that never ends would leave it: long, and mostly of zeros."""
    database = await migrated(folder)
    with (folder.path / "events.sqlite-wal").open("wb") as log:
        os.truncate(log.fileno(), 300 * 1024 * 1024)
    database.chmod(0o666)
    found = {finding["what"]: finding["weight"] for finding in (await told(folder)).said["findings"]}
    assert found["the write-ahead log has grown to 300 MB and does not shrink"] == "risk"
    assert not any("every user" in what for what in found)


async def test_commits_that_do_not_wait_for_the_disk(folder: Folder) -> None:
    await migrated(folder)
    found = await told(folder, "--set", "storage.synchronous=normal")
    assert found.of("storage.synchronous")["weight"] == "advice"


@pytest.mark.parametrize(
    ("sets", "key", "weight"),
    [
        (("server.host=0.0.0.0", "lanes.api.open=true", "lanes.api.auth=[]"), "lanes.api.auth", "advice"),
        (("server.host=0.0.0.0", "lanes.api.open=true", "auth.key.keys=[]"), "lanes.api.auth", "risk"),
        (("lanes.api.auth=[]", 'lanes.api.cors=["*"]'), "lanes.api.cors", "advice"),
        (('lanes.api.serve=["runs"]',), "lanes", "advice"),
        (('telemetry={figures={use="log"}}',), "telemetry", "advice"),
    ],
    ids=["open and meant", "open for want of a key", "open to pages", "not watched", "no figures"],
)
async def test_settings_that_may_not_be_meant(folder: Folder, sets: tuple[str, ...], key: str, weight: str) -> None:
    found = await told(folder, *(part for each in sets for part in ("--set", each)))
    assert found.of(key)["weight"] == weight


async def test_an_open_lane_behind_a_proxy_is_reached_by_others(folder: Folder) -> None:
    """The name leads to this machine, as that of a proxy does to whoever stands behind it."""
    sets = ("--set", "lanes.api.auth=[]")
    found = await told(folder, *sets, "--url", f"http://{socket.gethostname()}:1")
    assert found.of("lanes.api.auth")["weight"] == "risk"
    assert not [each for each in (await told(folder, *sets)).said["findings"] if each["key"] == "lanes.api.auth"]


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def on_postgres(folder: Folder) -> Callable[[str], None]:
    def write(url: str) -> None:
        config = CONFIG.replace('use = "sqlite"', 'use = "postgres"')
        (folder.path / "deployment.toml").write_text(config.replace('path = "events.sqlite"', f"url = '{url}'"))

    return write


async def test_postgres_that_is_well(folder: Folder, on_postgres: Callable[[str], None], postgres_url: str) -> None:
    on_postgres(postgres_url)
    async with folder.serving() as server:
        found = await told(folder, "--url", server.url)
    assert found.code == 0
    assert found.said["findings"] == []
    assert f"schema {HEAD}" in found.said["fine"]
    assert any(" connections, " in fact for fact in found.said["fine"])


async def test_postgres_without_tables_and_with_old_ones(
    folder: Folder,
    on_postgres: Callable[[str], None],
    fresh_postgres_url: str,
) -> None:
    on_postgres(fresh_postgres_url)
    assert "revision 'none'" in (await told(folder)).of("storage")["what"]
    assert (await folder.agentops("migrate", "-c", "deployment.toml")).code == 0
    await asyncio.to_thread(run_sql, fresh_postgres_url, f"UPDATE agentops_revision SET version_num = '{REVISIONS[0]}'")
    assert f"revision '{REVISIONS[0]}'" in (await told(folder)).of("storage")["what"]


async def test_postgres_that_is_frozen_or_away(
    folder: Folder, on_postgres: Callable[[str], None], postgres_url: str, server_folder: Path
) -> None:
    on_postgres(postgres_url)
    with frozen(int((server_folder / "pg" / "postmaster.pid").read_text().split()[0])):
        found = await told(folder)
    assert found.code == 3
    assert found.of("storage")["what"] == "no answer within 3 s"
    on_postgres(f"postgresql://me:{SECRET}@127.0.0.1:1/runs")
    found = await told(folder)
    assert found.code == 3
    assert found.of("storage")["what"].startswith("cannot connect to Postgres at 127.0.0.1:1, database 'runs'")


async def test_redis_that_counts_is_asked(folder: Folder, redis_url: str) -> None:
    limiter = ("--set", "limiter.use=redis")
    found = await told(folder, *limiter, "--set", f"limiter.url={redis_url}")
    assert any(fact.startswith("Redis answers in ") for fact in found.said["fine"])
    away = await told(folder, *limiter, "--set", f"limiter.url=redis://:{SECRET}@127.0.0.1:1/0")
    assert away.of("limiter.url")["weight"] == "failing"
    assert "Redis does not answer" in away.of("limiter.url")["what"]
    own = Redis(folder.path)
    with own.running() as process:
        await until(own.answers)
        with frozen(process.pid):
            found = await told(folder, *limiter, "--set", f"limiter.url=unix://{own.socket}")
    assert found.of("limiter.url")["weight"] == "failing"


def run_sql(url: str, statement: str) -> None:
    import asyncpg

    async def once() -> None:
        connection: Any = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(once())


@pytest.fixture(params=["sqlite", "postgres"])
def change(request: pytest.FixtureRequest, folder: Folder, on_postgres: Callable[[str], None]) -> Callable[[str], None]:
    """Runs a statement in the database of the deployment, which is migrated."""
    if request.param == "sqlite":
        path = folder.path / "events.sqlite"
        asyncio.run(Sqlite(path=str(path)).migrate())
        return lambda statement: sql(path, statement)
    url = request.getfixturevalue("postgres_url")
    on_postgres(url)
    return lambda statement: run_sql(url, statement)


async def test_runs_that_have_fallen_silent(folder: Folder, change: Callable[[str], None]) -> None:
    old, now = int(time.time() * 1000) - 2 * DAY_MS, int(time.time() * 1000)
    await asyncio.to_thread(change, "INSERT INTO projects (name) VALUES ('p')")
    rows = {"dead": (old, old, "running"), "alive": (old, now, "running"), "ended": (old, old, "completed")}
    for number, (name, (began, last, status)) in enumerate(rows.items(), 1):
        body = json.dumps({"ts": last, "type": "x"}, separators=(",", ":"))
        run = f"1, '{name}', '', '{status}', {began}, {number}"
        for row in (
            f"runs (project, name, title, status, started_at, last_id) VALUES ({run})",
            f"events (id, project, run, body) VALUES ({number}, 1, {number}, '{body}')",
        ):
            await asyncio.to_thread(change, f"INSERT INTO {row}")
    await asyncio.to_thread(
        change,
        f"INSERT INTO runs (project, name, title, status, started_at) VALUES (1, 'mute', '', 'running', {old})",
    )
    finding = (await told(folder)).of("storage")
    assert finding["weight"] == "risk"
    assert finding["what"].startswith("2 runs are `running` and have had no event for 24 hours, such as 'dead', 'mute'")


HASHED: Mapping[str, str] = {
    'use = "static-key"': 'use = "hashed-keys"',
    'keys = [{ env = "TEST_KEY" }]\n': 'prefix = "uc_"\n',
    'permissions = ["*"]\n': "",
}


async def test_keys_in_use_that_end(folder: Folder, change: Callable[[str], None]) -> None:
    config = (folder.path / "deployment.toml").read_text()
    for before, after in HASHED.items():
        config = config.replace(before, after)
    (folder.path / "deployment.toml").write_text(config)
    now = int(time.time() * 1000)
    rows = {
        "ended": (now - DAY_MS, now - DAY_MS - 60_000, "NULL", "uc_"),
        "ending": (now + 3 * DAY_MS, now - 60_000, "NULL", "uc_"),
        "unused": (now + 3 * DAY_MS, "NULL", "NULL", "uc_"),
        "rotated": (now + 3 * DAY_MS, now - 60_000, now + DAY_MS, "uc_"),
        "lasting": (now + 30 * DAY_MS, now - 60_000, "NULL", "uc_"),
        "forgotten": (now - DAY_MS, now - 90 * DAY_MS, "NULL", "uc_"),
        "another's": (now + 3 * DAY_MS, now - 60_000, "NULL", "ab_"),
    }
    for name, (expires, used, revoked, prefix) in rows.items():
        quoted = name.replace("'", "''")
        await asyncio.to_thread(
            change,
            "INSERT INTO keys (id, lookup, prefix, shown, hash, project, owner, name, permissions, networks,"
            f" created_at, expires_at, revoked_at, last_used_at) VALUES ('id-{quoted}', '{quoted}', '{prefix}', '',"
            f" '{SECRET}', 'default', 'alice', '{quoted}', '[]', '[]', 1, {expires}, {revoked}, {used})",
        )
    found = [finding for finding in (await told(folder)).said["findings"] if finding["key"] == "auth.key"]
    assert [(finding["weight"], finding["what"].split(" (")[0]) for finding in found] == [
        ("failing", "key 'ended' of 'alice'"),
        ("risk", "key 'ending' of 'alice'"),
    ]
    assert "agentops keys rotate" in found[1]["remedy"]


STRANGER = """
import asyncio
from agentops import Secret, Settings, Telemetry, Problem
from agentops.core.ports.diagnosis import Finding, Question, fine

class Mine(Settings):
    token: Secret

class Sink(Telemetry[Mine]):
    def event(self, name, level, fields): ...

    def questions(self, storage):
        yield Question("the token", self.token)
        yield Question("what fails", self.fails)
        yield Question("what hangs", self.hangs)
        yield Question("what comes after", self.token)

    async def token(self):
        return [Finding("risk", Problem("token", f"the token {self.settings.token.reveal()} is old", "", "renew"))]

    async def fails(self):
        raise RuntimeError(self.settings.token.reveal())

    async def hangs(self):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

class Broken(Telemetry[Mine]):
    def event(self, name, level, fields): ...

    def questions(self, storage):
        raise RuntimeError("no")
"""


async def test_a_strangers_plugin_is_asked_as_ours_are(folder: Folder) -> None:
    (folder.path / "mine.py").write_text(STRANGER)
    sinks = (
        *("--set", 'telemetry.theirs={use="mine:Sink",token={env="TEST_KEY"}}'),
        *("--set", 'telemetry.broken={use="mine:Broken",token={env="TEST_KEY"}}'),
    )
    found = await told(folder, *sinks, PYTHONPATH=str(folder.path))
    assert found.code == 3
    assert found.of("telemetry.theirs.token")["what"] == "the token ******** is old"
    assert [each["what"] for each in found.found("unanswered") if each["key"] == "telemetry.theirs"] == [
        f"what fails: RuntimeError at mine.py:{STRANGER[: STRANGER.index('raise RuntimeError')].count(chr(10)) + 1}",
        "what hangs: no answer within 3 s",
    ]
    assert found.of("telemetry.broken")["what"].startswith("Broken cannot say what to ask: RuntimeError at mine.py:")


PLAIN = """
from agentops.plugins.storage.sqlite import Sqlite

class Plain(Sqlite):
    peek = None
"""


async def test_a_storage_that_has_no_way_to_peek_is_started_as_it_is(folder: Folder) -> None:
    (folder.path / "mine.py").write_text(PLAIN)
    plain = ("--set", "storage.use=mine:Plain", "--set", "storage.path=events.sqlite")
    away = await told(folder, *plain, PYTHONPATH=str(folder.path))
    assert (away.code, away.of("storage")["weight"]) == (3, "unanswered")
    assert not (folder.path / "events.sqlite").exists()
    await migrated(folder)
    assert f"schema {HEAD}" in (await told(folder, *plain, PYTHONPATH=str(folder.path))).said["fine"]
