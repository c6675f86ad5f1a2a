"""`agentops users`: who may sign in, and that no password is shown or taken from where others see it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from agentops.accounts.users import PASSWORD_LEAST
from tests.cli.accounts import ENGINES, ME, PASSWORD, Accounts, assert_teaching, everything_in, helps
from tests.cli.running import PATIENCE, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.running import Folder

ADD = ("users", "add", "ada", "--email", "ada@example.com", "--role", "admin")
FROM_STDIN = ("--password-file", "-")


def passwords_in(folder: Folder) -> dict[str, str]:
    with closing(sqlite3.connect(folder.path / "accounts.sqlite")) as database:
        return dict(database.execute("SELECT username, password FROM users").fetchall())


def is_password(folder: Folder, name: str, password: str) -> bool:
    return PasswordHasher().verify(passwords_in(folder)[name], password)


@pytest.mark.parametrize("accounts", ENGINES, indirect=True)
async def test_a_user_is_made_changed_and_disabled(accounts: Accounts) -> None:
    made = await accounts(*ADD, *FROM_STDIN, stdin=PASSWORD)
    assert (made.code, made.err) == (0, "Made the user 'ada' with the role 'admin' in project 'default'.\n")
    assert re.fullmatch(r"usr_[0-9a-f]{16}\n", made.out)
    user = made.out.removesuffix("\n")

    assert await accounts.done("users", "role", "ADA", "developer") == "'ada' is now 'developer', and was 'admin'.\n"
    changed = await accounts.done("users", "passwd", "ada", *FROM_STDIN, stdin=b"another one\n")
    assert changed == "'ada' has a new password, and is signed out everywhere.\n"
    assert await accounts.done("users", "disable", "ada") == "'ada' is disabled, and signed out everywhere.\n"
    assert await accounts.done("users", "disable", "ada") == "'ada' was disabled before.\n"
    assert await accounts.done("users", "enable", "Ada") == "'ada' is enabled, and may sign in again.\n"
    assert await accounts.done("users", "enable", "ada") == "'ada' was not disabled.\n"
    assert await accounts.done("users", "disable", "ada") == "'ada' is disabled, and signed out everywhere.\n"

    (listed,) = await accounts.lines("users", "list", "--json")
    assert listed.pop("disabled_at") >= listed.pop("created_at")
    mail = "ada@example.com"
    assert listed == {"id": user, "project": "default", "username": "ada", "email": mail, "role": "developer"}
    actions = ["user.add", "user.role", "user.passwd", "user.disable", "user.enable", "user.disable"]
    assert await accounts.trail() == [(action, user) for action in actions]
    assert {entry["actor"] for entry in await accounts.lines("audit", "export")} == {ME}


async def test_the_list_is_a_table_of_the_users_of_a_project(accounts: Accounts) -> None:
    empty = await accounts("users", "list")
    assert (empty.code, empty.out, empty.err) == (0, "", "There are no users in project 'default'.\n")
    ada, bob = await accounts.add("ada", "admin"), await accounts.add("Bob", "viewer", "--project", "other")
    heads, row = (await accounts.done("users", "list")).splitlines()
    assert heads.split() == ["id", "name", "e-mail", "role", "project", "made", "disabled"]
    assert row.split()[:5] == [ada, "ada", "ada@example.com", "admin", "default"]
    assert [heads.index("name"), heads.index("role")] == [row.index("ada"), row.index("admin")]
    there = await accounts.lines("users", "list", "--json", "--project", "other")
    assert [user["id"] for user in there] == [bob]
    everybody = await accounts.lines("users", "list", "--json", "--all-projects")
    assert [user["id"] for user in everybody] == [ada, bob]


async def test_who_did_it_is_the_user_of_the_process_whatever_the_environment_says(accounts: Accounts) -> None:
    pretending = {"USER": "somebody", "LOGNAME": "somebody"}
    assert (await accounts(*ADD, *FROM_STDIN, stdin=PASSWORD, **pretending)).code == 0
    (entry,) = await accounts.lines("audit", "export")
    assert (entry["actor"], entry["lane"], entry["project"]) == (ME, "", "default")


@pytest.mark.parametrize("text", [b"correct horse", b"correct horse\n", b"correct horse\r\nmore\n"])
async def test_a_password_is_the_first_line_of_a_file_or_of_standard_input(accounts: Accounts, text: bytes) -> None:
    await accounts.done(*ADD, *FROM_STDIN, stdin=text)
    assert is_password(accounts.folder, "ada", "correct horse")
    (accounts.folder.path / "password").write_bytes(text.replace(b"correct", b"another"))
    await accounts.done("users", "passwd", "ada", "--password-file", "password")
    assert is_password(accounts.folder, "ada", "another horse")


async def test_no_password_is_shown_or_kept(accounts: Accounts) -> None:
    said = [await accounts(*ADD, *FROM_STDIN, stdin=PASSWORD) for _ in range(2)]
    said.append(await accounts("users", "passwd", "ada", *FROM_STDIN, "--debug", stdin=b"canary"))
    said += [await accounts("users", "list", *json) for json in ((), ("--json",))]
    assert [finished.code for finished in said] == [0, 1, 1, 0, 0]
    assert "Traceback" in said[2].err
    assert "canary" not in repr(said)
    assert "canary" not in everything_in(accounts.folder)


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (["ada", "--role", "admin", *FROM_STDIN], PASSWORD, 2, "Missing option '--email'"),
        (["ada", "--email", "a@b", *FROM_STDIN], PASSWORD, 2, "Missing option '--role'"),
        (["ada", "--email", "a@b", "--role", "amin", *FROM_STDIN], PASSWORD, 2, "'amin' is not one of 'admin'"),
        (["ada", "--email", "a@b", "--role", "user", "--password", "12345678"], b"", 2, "No such option"),
        (["ada", "--email", "a@b", "--role", "user"], PASSWORD, 2, "there is no terminal to ask for the password"),
        (["ada", "--email", "a@b", "--role", "user", *FROM_STDIN], b"\n", 1, "first line of '-'"),
        (["ada", "--email", "a@b", "--role", "user", *FROM_STDIN], b"\xff\n", 1, "is not UTF-8 text"),
        (["ada", "--email", "a@b", "--role", "user", *FROM_STDIN], b"1234567\n", 1, f"has {PASSWORD_LEAST} to "),
        (["ada", "--email", "a@b", "--role", "user", "--password-file", "none"], b"", 1, "'none': no such file"),
        (["ada", "--email", "a@b", "--role", "user", "--password-file", "."], b"", 2, "is a directory"),
        (["ada", "--email", "nowhere", "--role", "user", *FROM_STDIN], PASSWORD, 1, "this is no e-mail address"),
        (["a\nb", "--email", "a@b", "--role", "user", *FROM_STDIN], PASSWORD, 1, "a username is 1 to "),
        (["\udcff", "--email", "a@b", "--role", "user", *FROM_STDIN], PASSWORD, 1, "a username is 1 to "),
        (["ada", "--email", "a@b", "--role", "user", "--project", "\x1b", *FROM_STDIN], PASSWORD, 2, "'--project'"),
    ],
    ids=lambda given: " ".join(given).encode("unicode_escape").decode() if isinstance(given, list) else "",
)
async def test_what_is_refused_makes_nobody(
    accounts: Accounts, arguments: list[str], stdin: bytes, code: int, said: str
) -> None:
    done = await accounts("users", "add", *arguments, stdin=stdin)
    assert (done.code, done.out) == (code, ""), done
    assert said in done.err
    assert "Traceback" not in done.err
    assert passwords_in(accounts.folder) == {}


async def test_a_name_or_an_address_that_is_taken_is_refused_however_it_is_written(accounts: Accounts) -> None:
    bob = await accounts.add("bob")
    others = ("--email", "a@b", "--role", "user", *FROM_STDIN)
    name = await accounts("users", "add", "BOB", *others, stdin=PASSWORD)
    assert name == (1, "", "Error: this username is taken\n")
    his = ("--email", "BOB@Example.com", "--role", "user", "--project", "other", *FROM_STDIN)
    email = await accounts("users", "add", "ada", *his, stdin=PASSWORD)
    assert email == (1, "", "Error: this email is taken\n")
    assert [user["id"] for user in await accounts.lines("users", "list", "--json", "--all-projects")] == [bob]


@pytest.mark.parametrize("command", ["disable", "enable", "role", "passwd"])
async def test_a_user_who_is_not_there_is_answered_with_the_nearest(accounts: Accounts, command: str) -> None:
    more = {"role": ["viewer"], "passwd": [*FROM_STDIN]}.get(command, [])
    await accounts.add("ada", "admin")
    await accounts.add("bob", "admin", "--project", "other")
    if command == "enable":
        await accounts.done("users", "disable", "bob", "--project", "other")
    wrong = [await accounts("users", command, name, *more, stdin=b"new password") for name in ("adda", "x", "bob")]
    assert [(finished.code, finished.out, finished.err) for finished in wrong] == [
        (1, "", "Error: there is no user 'adda' in project 'default'; did you mean 'ada'?\n"),
        (1, "", "Error: there is no user 'x' in project 'default'\n"),
        (1, "", "Error: 'bob' is a user of project 'other': say so with --project\n"),
    ]
    assert [action for action, _ in await accounts.trail()] == ["user.add"]
    await accounts.done("users", command, "bob", *more, "--project", "other", stdin=b"new password")
    *_, entry = await accounts.lines("audit", "export", "--project", "other")
    assert entry["action"] == f"user.{command}"


async def test_a_database_that_is_not_there_is_not_made(accounts: Accounts) -> None:
    elsewhere = await accounts(*ADD, *FROM_STDIN, "--set", "storage.path=none.sqlite", stdin=PASSWORD)
    assert (elsewhere.code, elsewhere.out) == (3, "")
    assert "none.sqlite" in elsewhere.err
    assert "agentops migrate" in elsewhere.err
    assert not (accounts.folder.path / "none.sqlite").exists()


def test_without_what_hashes_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['argon2'] = None; from agentops.cli import main; main()"
    command = [sys.executable, "-c", code, "users", "list"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: argon2-cffi is not installed, ")
    assert 'pip install "agentops-kit[auth]"' in done.stderr
    assert done.stderr.count("\n") == 1


class Terminal:
    """A command that holds a terminal of its own, and what stands on it."""

    START = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from agentops.cli import main; main()"

    def __init__(self, arguments: tuple[str, ...], folder: Path) -> None:
        self._keyboard, screen = os.openpty()
        fcntl.fcntl(self._keyboard, fcntl.F_SETFL, os.O_NONBLOCK)
        self.shown = ""
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.START, *arguments],
            stdin=screen,
            stdout=screen,
            stderr=screen,
            cwd=folder,
            env=environment(),
            start_new_session=True,
        )
        os.close(screen)

    def type_at(self, prompt: str, text: str) -> None:
        """Wait for the prompt, which stands there when the echo is off, and answer it."""
        while not self.shown.endswith(prompt):
            assert self._read(), self.shown
        os.write(self._keyboard, text.encode())

    def ended(self) -> int:
        while self._read():
            pass
        os.close(self._keyboard)
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._keyboard], [], [], PATIENCE)
        assert ready, self.shown
        try:
            new = os.read(self._keyboard, 1000)
        except OSError:  # how Linux says that nobody holds the other end any more
            new = b""
        self.shown += new.decode()
        return bool(new)


async def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(accounts: Accounts) -> None:
    terminal = Terminal((*ADD, *accounts.there), accounts.folder.path)
    terminal.type_at("Password: ", "correct horse\n")
    terminal.type_at("The same again: ", "correct horse\n")
    assert terminal.ended() == 0, terminal.shown
    assert "horse" not in terminal.shown
    assert is_password(accounts.folder, "ada", "correct horse")


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        (["correct horse\n", "correct house\n"], 1, "these were two different passwords, so nothing was changed"),
        (["\x04"], 1, "no password was given, so nothing was changed"),
        (["\x03"], 130, ""),
    ],
    ids=["different", "end of file", "ctrl-c"],
)
async def test_what_is_not_typed_twice_makes_nobody(
    accounts: Accounts, answers: list[str], code: int, said: str
) -> None:
    terminal = Terminal((*ADD, *accounts.there), accounts.folder.path)
    for prompt, answer in zip(("Password: ", "The same again: "), answers, strict=False):
        terminal.type_at(prompt, answer)
    assert terminal.ended() == code, terminal.shown
    assert said in terminal.shown
    assert "Traceback" not in terminal.shown
    assert passwords_in(accounts.folder) == {}


@pytest.mark.parametrize(("name", "text"), helps("users").items(), ids=helps("users"))
def test_help_teaches(name: str, text: str) -> None:
    assert_teaching("users", name, text)
