"""Where a command takes a password from: the terminal, a file or standard input, and never its arguments."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from getpass import getpass
from typing import IO, TYPE_CHECKING, Final

import click

from agentops.cli.failures import Failure

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_LINE: Final = 64 * 1024


def read_password(file: Path | None) -> str:
    """Return the first line of the file, `-` being standard input; without one, ask twice at the terminal."""
    return _asked() if file is None else _first_line(file)


def _asked() -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to ask for the password: give it by --password-file FILE, or - for standard input"
        )
    try:
        password = getpass("Password: ")
        again = getpass("The same again: ")
    except EOFError:
        raise Failure("no password was given, so nothing was changed") from None
    if password != again:
        raise Failure("these were two different passwords, so nothing was changed")
    return password


def _first_line(file: Path) -> str:
    source: AbstractContextManager[IO[bytes]]
    source = nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb")
    with source as lines:
        line = lines.readline(LONGEST_LINE)
    try:
        password = line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Failure(f"the first line of {str(file)!r} is not UTF-8 text") from None
    if not password:
        raise Failure(f"the first line of {str(file)!r} is to be the password, and it is empty")
    return password
