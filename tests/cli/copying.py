"""What the tests of `agentops copy` share: a database with rows in every table, and both sides as they are stored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from agentops.core.ports.storage import Append
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.sqlite import Sqlite
from agentops.sql.copying.order import EVERY, columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cli.running import Finished, Folder

ACCOUNTS = """
    INSERT INTO users VALUES ('b', 'default', 'Bé', 'bé', 'b@x', 'b@x', 'hash', 'admin', 1, NULL);
    INSERT INTO users VALUES ('B', 'default', 'A', 'a', 'a@x', 'a@x', 'hash', 'user', 1, 5);
    INSERT INTO users VALUES ('ä', 'other', 'C', 'c', 'c@x', 'c@x', 'hash', 'user', 1, NULL);
    INSERT INTO sessions VALUES ('s1', 'b', 'x', 'h1', NULL, NULL, NULL, 1, 9, NULL);
    INSERT INTO sessions VALUES ('s2', 'ä', 'x', 'h2', 'h1', 'salt', 4, 1, 9, 8);
    INSERT INTO keys VALUES ('K', 'l1', 'uc_', 'uc_a', 'h', 'default', 'b', 'n', '[]', '[]', 1, 9, NULL, 3, '["1/s"]',
        '{"parallel":1}');
    INSERT INTO keys VALUES ('k', 'l2', 'uc_', 'uc_b', 'hash', 'other', 'ä', 'n', '["*"]', '[]', 1, 9, 2, NULL, '[]',
        '{}');
    INSERT INTO webhooks (id, project, url, kinds, format, description, secret, created_at)
        VALUES ('w', 'default', 'http://x', '["run.failed","key.created"]', 'standard', '', 's', 1);
    INSERT INTO audit (at, project, lane, actor, action, target, outcome, reason, details)
        VALUES (1, 'default', 'cli', 'me', 'key.create', 'K', 'ok', '', '{}');
    INSERT INTO audit (at, project, lane, actor, action, target, outcome, reason, details)
        VALUES (2, 'default', 'cli', 'me', 'user.create', 'b', 'ok', '', '{}');
    INSERT INTO provider_keys VALUES (3, 'default', 'b', 'openai', 'r', 'sealed', '…abc', 1, NULL);
    INSERT INTO purses VALUES ('credits:default/b', 0, 900, 30, 7, 'pro'),
        ('key:k:day', 20, 50, 0, 0, NULL);
    INSERT INTO holds VALUES (8, 'c2', 'credits:default/b', 0, 7, 99);
    INSERT INTO calls VALUES ('c1', 1, 'default', 'b', 'key:k', 'chat', 'm', 'openai', 'm-1', 'ok', 1, 2, 3, 4, 0, 30,
        0, 1, NULL, 5, 'one');
    INSERT INTO usage VALUES (2, 'default', '2026-01-01', 'b', 'key:k', 'm', 'openai', 1, 0, 1, 2, 3, 4, 30);
    INSERT INTO ledger (at, project, subject, kind, call, amount, balance_before, balance_after, note)
        VALUES (1, 'default', 'b', 'grant', NULL, 900, 0, 900, ''),
        (2, 'default', 'b', 'call', 'c1', -30, 900, 870, '');
    INSERT INTO marks VALUES (4, 100), (9, 200), (9, 300);
    UPDATE runs SET status = 'error', ended_at = 7 WHERE name = 'one';
    DELETE FROM audit WHERE id = 2;
"""
"""The last of the trail is gone, and two deliveries were made by the triggers: of the key and of the run."""


@dataclass(frozen=True, slots=True)
class Move:
    """A SQLite file that is served by `deployment.toml`, and an empty Postgres."""

    folder: Folder
    url: str

    @property
    def path(self) -> Path:
        return self.folder.path / "events.sqlite"

    async def copy(self, *more: str) -> Finished:
        sides = ("--from", "sqlite", "--to", "postgres")
        return await self.folder.agentops("copy", *sides, "-c", "deployment.toml", *more, DATABASE_URL=self.url)

    def source(self, *statements: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            return [row for statement in statements for row in database.execute(statement)]

    async def target(self, *statements: str) -> list[tuple[Any, ...]]:
        connection: Any = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for statement in statements for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    async def assert_equal(self) -> None:
        for table in EVERY:
            everything = f"SELECT {columns_of(table)} FROM {table.name}"
            ours, theirs = _by_key(self.source(everything)), _by_key(await self.target(everything))
            assert [row[0] for row in theirs] == [row[0] for row in ours], table.name
            assert theirs == ours, table.name
            assert ours, f"nothing is proved by an empty table: {table.name}"

    def old(self) -> Sqlite:
        return Sqlite(path=str(self.path))

    def new(self) -> Postgres:
        return Postgres(url=Secret(self.url))


async def fill(path: Path, each: int = 7) -> None:
    """Something in every table; three runs in two projects, their events in turn, some with keys."""
    storage = Sqlite(path=str(path))
    async with storage.life(Rungs()):
        for number in range(each):
            events = [event(number)]
            await storage.append(
                [Append(p, r, events) for p, r in (("default", "one"), ("default", "two/✓"), ("o", "one"))]
            )
    with closing(sqlite3.connect(path)) as database:
        database.executescript(ACCOUNTS)


def event(number: int, payload: str = '"✓"') -> NewEvent:
    body = f'{{"ts":{number},"type":"n","level":"info","agentId":null,"taskId":"t","payload":{payload}}}'
    return NewEvent(body, f"key-{number}" if number % 3 == 0 else None)


def rows_of(out: str) -> Sequence[Sequence[str]]:
    """The cells of the table that is printed at the end."""
    return [line.split() for line in out.splitlines() if line.endswith(("equal", "different"))]


def _by_key(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: tuple(map(str, row)))
