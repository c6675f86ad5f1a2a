"""`agentops audit export`: every entry once, oldest first, however many there are."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agentops.accounts.audit import EXPORTED_AT_ONCE
from tests.cli.accounts import ENGINES, ME, Accounts, assert_teaching, helps
from tests.cli.running import needs_a_full_disk

if TYPE_CHECKING:
    from tests.cli.running import Folder

EXPORT = ("audit", "export")
MANY = 2 * EXPORTED_AT_ONCE + 3


def fill(folder: Folder) -> None:
    """Entries of two projects in turn."""
    add = """
        INSERT INTO audit (at, project, lane, actor, action, target, outcome, reason, details)
        VALUES (?, ?, 'api', 'ada', 'key.create', ?, 'ok', '', '{"name":"ünï\\u2028cödé"}')
    """
    rows = [(number, "other" if number % 2 else "default", f"key {number}") for number in range(2 * MANY)]
    with closing(sqlite3.connect(folder.path / "accounts.sqlite")) as database, database:
        database.executemany(add, rows)


@pytest.mark.parametrize("accounts", ENGINES, indirect=True)
async def test_an_entry_is_a_line_that_tells_all(accounts: Accounts) -> None:
    user = await accounts.add("ada", "admin")
    done = await accounts(*EXPORT)
    assert (done.code, done.err) == (0, "Exported 1 entries of project 'default'.\n")
    (line,) = done.out.splitlines()
    entry = json.loads(line)
    assert isinstance(entry.pop("at"), int)
    assert entry == {
        "id": "1",
        "project": "default",
        "lane": "",
        "actor": ME,
        "credential": None,
        "action": "user.add",
        "target": user,
        "outcome": "ok",
        "reason": "",
        "address": None,
        "requestId": None,
        "details": {"username": "ada", "role": "admin"},
    }
    assert await accounts(*EXPORT, "--project", "other") == (0, "", "Exported 0 entries of project 'other'.\n")
    assert (await accounts(*EXPORT, "--all-projects")).err == "Exported 1 entries of all projects.\n"


async def test_more_than_a_page_is_whole_and_in_order(accounts: Accounts) -> None:
    fill(accounts.folder)

    async def numbers(*arguments: str) -> list[int]:
        return [entry["at"] for entry in await accounts.lines(*EXPORT, *arguments)]

    assert await numbers() == list(range(0, 2 * MANY, 2))
    assert await numbers("--project", "other") == list(range(1, 2 * MANY, 2))
    assert await numbers("--all-projects") == list(range(2 * MANY))


async def test_a_new_file_takes_it_and_one_that_is_there_is_kept(accounts: Accounts) -> None:
    fill(accounts.folder)
    file = accounts.folder.path / "audit.ndjson"
    done = await accounts(*EXPORT, "--output", file.name)
    assert done == (0, "", f"Exported {MANY:,} entries of project 'default'.\n")
    written = file.read_bytes()
    assert written.decode() == await accounts.done(*EXPORT)
    again = await accounts(*EXPORT, "--output", file.name)
    assert again == (1, "", "Error: 'audit.ndjson' is there already: name a new file\n")
    assert file.read_bytes() == written


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--output", "no/audit.ndjson"], 1, "Error: 'no/audit.ndjson': no such file or directory\n"),
        (["--output", "."], 2, "is a directory"),
        (["--output", "new", "--project", "p", "--all-projects"], 2, "give one of the two"),
        (["--output", "new", "--project", "\udcff"], 2, "1 to 200 printable characters"),
        (["--output", "new", "--project", ""], 2, "1 to 200 printable characters"),
        (["--output", "new", "--set", "storage.path=none.sqlite"], 3, "agentops migrate"),
    ],
    ids=["no folder", "folder", "one and all", "no text", "no name", "no database"],
)
async def test_what_cannot_be_exported_leaves_nothing(
    accounts: Accounts, arguments: list[str], code: int, said: str
) -> None:
    done = await accounts(*EXPORT, *arguments)
    assert (done.code, done.out) == (code, ""), done
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (accounts.folder.path / "new").exists()
    assert not (accounts.folder.path / "none.sqlite").exists()


@needs_a_full_disk
async def test_a_full_disk_is_told_of(accounts: Accounts) -> None:
    await accounts.add("ada")
    ended = accounts.folder.on_a_full_disk(*EXPORT, *accounts.there)
    assert ended == (3, "Error: no space left on device\n")


@pytest.mark.parametrize(("name", "text"), helps("audit").items(), ids=helps("audit"))
def test_help_teaches(name: str, text: str) -> None:
    assert_teaching("audit", name, text)
