"""What `agentops doctor` says of storages, limiters, authenticators and plugins of strangers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from agentops.core.records import DAY_MS, now_ms
from agentops.sql.migrating import HEAD
from agentops.sql.migrations import REVISIONS
from tests.cli.doctor.asking import SECRET, migrated, run_sql, sql, told
from tests.core.parts import until
from tests.durability.own_redis import OwnRedis as Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.cli.running import Folder


@pytest.mark.parametrize("stored", [REVISIONS[0], "9999", None])
async def test_a_schema_that_is_not_this_programs(folder: Folder, stored: str | None) -> None:
    database = await migrated(folder)
    sql(
        database, f"UPDATE agentops_revision SET version_num = '{stored}'" if stored else "DROP TABLE agentops_revision"
    )
    sql(database, "UPDATE agentops_served_since SET revision = '9999'")
    finding = (await told(folder)).of("storage")
    assert finding["weight"] == "failing"
    assert f"revision {stored or 'none'!r}" in finding["what"]
    assert ("newer version" if stored == "9999" else "agentops migrate") in finding["remedy"]


async def test_a_newer_schema_that_serves_this_program_too(folder: Folder) -> None:
    sql(await migrated(folder), "UPDATE agentops_revision SET version_num = '9999'")
    found = await told(folder)
    assert found.found("failing") == []
    assert "schema 9999, of a newer version, which serves this one too" in str(found.said)


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


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


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


async def test_runs_that_have_fallen_silent(folder: Folder, change: Callable[[str], None]) -> None:
    now = now_ms()
    old = now - 2 * DAY_MS
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
    now = now_ms()
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
