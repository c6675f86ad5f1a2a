"""`agentops backup`, `prune` and `migrate`, mostly beside a server."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.running import Folder, Serving

HERE = ("-c", "deployment.toml")


async def record(server: Serving, run: str, count: int) -> None:
    async with httpx.AsyncClient() as client:
        events = [{"type": "n", "payload": number} for number in range(count)]
        assert (await client.post(f"{server.api}/runs/{run}/events", json=events)).status_code == 201


def count(path: Path) -> int:
    database = sqlite3.connect(path)
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(database.execute("SELECT count(*) FROM events").fetchone()[0])
    finally:
        database.close()


async def test_a_backup_of_a_server_that_serves_is_whole(folder: Folder) -> None:
    async with folder.serving() as server:
        await record(server, "r", 100)
        done = await folder.agentops("backup", "copy.sqlite", *HERE)
        assert done.code == 0, done.err
        assert done.out.startswith("Copied to copy.sqlite, ")
        assert count(folder.path / "copy.sqlite") == 100
        await record(server, "r", 1)
    assert not list(folder.path.glob("*.partial"))
    async with folder.serving("--set", "storage.path=copy.sqlite") as server:
        tailed = await folder.agentops("tail", "r", "--url", server.api)
    assert len(tailed.out.splitlines()) == 100


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["there.sqlite"], 1, "'there.sqlite' is there already: name a new file"),
        (["no/folder.sqlite"], 1, "there is no folder"),
        (["copy.sqlite", "--set", "storage.path=none.sqlite"], 3, "none.sqlite"),
        ([], 2, "Missing argument 'FILE'"),
    ],
    ids=["there already", "no folder", "no database", "no name"],
)
async def test_a_backup_that_cannot_be_made(folder: Folder, arguments: list[str], code: int, said: str) -> None:
    (folder.path / "there.sqlite").write_text("precious")
    assert (await folder.agentops("migrate", *HERE)).code == 0
    done = await folder.agentops("backup", *arguments, *HERE)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err
    assert (folder.path / "there.sqlite").read_text() == "precious"
    assert not (folder.path / "none.sqlite").exists()


async def test_prune_keeps_the_newest_of_each_run(folder: Folder) -> None:
    async with folder.serving() as server:
        await record(server, "long", 30)
        await record(server, "short", 5)
        done = await folder.agentops("prune", "--keep", "10", *HERE)
        assert (done.code, done.out) == (0, "Deleted 20 events of 1 runs; the newest 10 of each are kept.\n")
        again = await folder.agentops("prune", *HERE, "--set", "events.retention=10")
        assert again.out == "Deleted 0 events of 0 runs; the newest 10 of each are kept.\n"
        tailed = await folder.agentops("tail", "long", "--url", server.api, "--after", "0")
    assert [line.split()[-1] for line in tailed.out.splitlines()] == [str(number) for number in range(20, 30)]


async def test_prune_does_not_guess(folder: Folder) -> None:
    done = await folder.agentops("prune", *HERE, "--set", "events.retention=0")
    assert done.code == 1
    assert "say how many with --keep" in done.err
    assert (await folder.agentops("prune", "--keep", "0", *HERE)).code == 2
    nothing = await folder.agentops("prune", "--keep", "1", *HERE)
    assert nothing.code == 3
    assert not (folder.path / "events.sqlite").exists()


async def test_migrate_by_hand(folder: Folder) -> None:
    by_hand = (*HERE, "--set", "storage.migrate=false")
    refused = await folder.agentops("serve", *by_hand)
    assert refused.code == 3
    assert "agentops migrate" in refused.err
    assert (await folder.agentops("migrate", *by_hand)).out.startswith("The schema is now up to date: 0")
    assert (await folder.agentops("migrate", *by_hand)).out.startswith("The schema was up to date: 0")
    async with folder.serving("--set", "storage.migrate=false"):
        pass


async def test_a_database_of_a_newer_version_is_left_alone(folder: Folder) -> None:
    await folder.agentops("migrate", *HERE)
    database = sqlite3.connect(folder.path / "events.sqlite")
    database.execute("UPDATE agentops_revision SET version_num = '9999'")
    database.execute("UPDATE agentops_served_since SET revision = '9999'")
    database.commit()
    database.close()
    for command in (["migrate"], ["serve"], ["prune"], ["backup", "copy.sqlite"], ["export"]):
        done = await folder.agentops(*command, *HERE)
        assert done.code == 3, done
        assert "'9999'" in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_cannot_be_written_to(folder: Folder) -> None:
    (folder.path / "closed").mkdir(mode=0o500)
    await folder.agentops("migrate", *HERE)
    done = await folder.agentops("backup", "closed/copy.sqlite", *HERE)
    assert done.code == 1
    assert "cannot be written to" in done.err


async def test_postgres_is_backed_up_by_its_own_tool(folder: Folder) -> None:
    url = "postgresql://ops:sesame@db.example:5433/agentops?sslmode=require&password=sesame"
    there = ("--set", "storage.use=postgres", "--set", f"storage.url={url}")
    done = await folder.agentops("backup", "my copy.dump", *HERE, *there)
    assert done.code == 1
    command = (
        "pg_dump --format=custom --file='my copy.dump' 'postgresql://ops@db.example:5433/agentops?sslmode=require'"
    )
    assert command in done.err
    assert "sesame" not in done.err
