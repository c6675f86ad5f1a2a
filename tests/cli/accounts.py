"""What the tests of `users`, `keys` and `audit` share: a deployment that takes keys, on either storage."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from agentops.cli.root import main
from agentops.plugins.storage.sqlite import Sqlite

if TYPE_CHECKING:
    import pytest

    from tests.cli.running import Finished, Folder

ENGINES = ("sqlite", "postgres")
PASSWORD = b"canary-horse-battery\n"
ME = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"

CONFIG = """
[server]
port = 0

[storage]
use = "sqlite"
path = "accounts.sqlite"

[auth.keys]
use = "hashed-keys"
prefix = "uc_"

[lanes.api]
path = "/api"
auth = ["keys"]
serve = ["runs"]
errors = "plain"
"""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Runs commands on one database."""

    folder: Folder
    there: tuple[str, ...]

    async def __call__(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Finished:
        return await self.folder.fed(stdin, *arguments, *self.there, **environ)

    async def done(self, *arguments: str, stdin: bytes = b"") -> str:
        """What it prints; it must succeed."""
        finished = await self(*arguments, stdin=stdin)
        assert finished.code == 0, finished
        return finished.out

    async def add(self, name: str, role: str = "user", *more: str) -> str:
        """Make a user, and return the id."""
        mail = f"{name}@example.com"
        options = ("--email", mail, "--role", role, "--password-file", "-", *more)
        return (await self.done("users", "add", name, *options, stdin=PASSWORD)).removesuffix("\n")

    async def lines(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (await self.done(*arguments)).splitlines()]

    async def trail(self) -> list[tuple[str, str]]:
        """What was done to what, oldest first."""
        return [(entry["action"], entry["target"]) for entry in await self.lines("audit", "export")]


def accounts_on(engine: str, folder: Folder, request: pytest.FixtureRequest) -> Accounts:
    """A migrated and empty database."""
    (folder.path / "deployment.toml").write_text(CONFIG)
    here = ("-c", "deployment.toml")
    if engine == "postgres":
        url = request.getfixturevalue("postgres_url")
        return Accounts(folder, (*here, "--set", "storage.use=postgres", "--set", f"storage.url={url}"))
    asyncio.run(Sqlite(path=str(folder.path / "accounts.sqlite")).migrate())
    return Accounts(folder, here)


def everything_in(folder: Folder) -> str:
    """Every row of every table of the SQLite file."""
    database = sqlite3.connect(folder.path / "accounts.sqlite")
    try:
        return "\n".join(database.iterdump())
    finally:
        database.close()


def helps(name: str) -> dict[str, str]:
    """The help of the commands in a group, by their names."""
    above = click.Context(main, info_name="agentops")
    group = main.get_command(above, name)
    assert isinstance(group, click.Group)
    context = click.Context(group, info_name=name, parent=above)
    return {
        each: inner.get_help(click.Context(inner, info_name=each, parent=context))
        for each, inner in group.commands.items()
    }


def assert_teaching(group: str, name: str, text: str) -> None:
    assert f"\n    agentops {group} {name}" in text.replace("KEY=$(", "")
    assert "Exit codes: 0 " in text
    assert "--debug" in text
