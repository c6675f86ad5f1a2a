"""A deployment that nobody finds fault with, and what `agentops doctor` tells of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops.plugins.storage.sqlite import Sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.running import Folder

SECRET = "canary-of-the-operator-1"
LONGEST = 12
"""Seconds within which a page is there, whatever is frozen: three for what hangs, the rest for a slow machine."""

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


def run_sql(url: str, statement: str) -> None:
    import asyncpg

    async def once() -> None:
        connection: Any = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(once())


async def migrated(folder: Folder) -> Path:
    """The database of one that was served and has stopped."""
    path = folder.path / "events.sqlite"
    await Sqlite(path=str(path)).migrate()
    return path
