"""The program before the last migration and this one serve one database together, and the migration happens under load.

The old one comes out of this repository's history.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from agentops.sql.migrations import REVISIONS
from tests.core.parts import until
from tests.durability.command import command
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.durability.command import Command

OLD: Final = "623792e"
"""The last commit with schema 0005; to be set anew with each migration."""
RUNS: Final = 4
HERE: Final = Path(__file__).parents[2]


@pytest.fixture
def old_program(tmp_path: Path) -> Path:
    archive = subprocess.run(["git", "archive", OLD, "src", "config"], cwd=HERE, check=False, capture_output=True)
    if archive.returncode:
        pytest.skip("this checkout has no history to take the old program from")
    (tmp_path / "old").mkdir()
    subprocess.run(["tar", "-x"], cwd=tmp_path / "old", input=archive.stdout, check=True)
    assert REVISIONS[-1] not in (tmp_path / "old/src/agentops/sql/migrations/__init__.py").read_text()
    return tmp_path / "old/src"


def producers_on(instance: Command, ledgers: Sequence[Ledger], name: str) -> list[Producer]:
    return [
        Producer(f"{name}{number}", instance.address, ledger, Random(number), unsure=True)
        for number, ledger in enumerate(ledgers)
    ]


def followers_on(instance: Command, ledgers: Sequence[Ledger]) -> list[Follower]:
    return [Follower(instance.address, f"{ledger.path}/stream", "0") for ledger in ledgers]


def stored_by(name: str, ledgers: Sequence[Ledger]) -> int:
    return sum(mark.startswith(name) for ledger in ledgers for mark in ledger.stored)


async def begin_a_run(instance: Command, run: str) -> int:
    async with await Connection.open(instance.address) as connection:
        return (await connection.post(f"/api/runs/{run}/events", {"type": "tick"})).status


async def test_an_old_and_a_new_program_serve_one_database(
    old_program: Path, fresh_postgres_url: str, tmp_path: Path
) -> None:
    url = fresh_postgres_url
    sets = ["storage.use=postgres", f"storage.url={url}", "bus.use=postgres", f"bus.url={url}"]
    ledgers = [Ledger(f"run-{number}") for number in range(RUNS)]
    async with (
        command(tmp_path, "uvicorn", *sets, source=old_program) as old,
        command(tmp_path, "uvicorn", *sets) as new,
    ):
        await old.up()
        followers = followers_on(old, ledgers)
        async with at_work(*followers), at_work(*producers_on(old, ledgers, "old")):
            await ledgers[0].grows(20)
            await new.up()
            more = followers_on(new, ledgers)
            async with at_work(*more):
                async with at_work(*producers_on(new, ledgers, "new")):
                    wanted = {name: stored_by(name, ledgers) + 100 for name in ("old", "new")}
                    await until(lambda: all(stored_by(name, ledgers) > count for name, count in wanted.items()))
                    assert await begin_a_run(old, "late") == 201
                stored = [await events_of(new.address, ledger) for ledger in ledgers]
                for follower, events in zip([*followers, *more], [*stored, *stored], strict=True):
                    await follower.has(events[-1][0])
        old.terminate()
        assert await old.ended(within=20) == 0
        stored = [await events_of(new.address, ledger) for ledger in ledgers]
    for ledger, events in zip(ledgers, stored, strict=True):
        ledger.verify(events)
    for follower, events in zip([*followers, *more], [*stored, *stored], strict=True):
        seen = seen_by(follower)
        assert seen == events[: len(seen)]
