"""`agentops backup`."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import click

from agentops.cli.failures import INTERRUPTED, Failure
from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@deployment_options
def command(file: Path, config: str | None, sets: tuple[str, ...]) -> None:
    """Copy the database while it is being served.

    FILE is a new file: nothing is overwritten. It has its name only when the copy is whole, and holds everything
    that was acknowledged when the copy began. To go back, stop the server and put it in the database's place.
    For Postgres, the command that does it is printed instead.

    Example:
      agentops backup monday.sqlite

    Exit codes: 0 copied; 1 FILE is there already or cannot be written, or this storage is copied by other tools;
    2 wrong usage; 3 the database cannot be read now, or the disk is full; 130 interrupted.
    """
    from agentops.cli.opening import run

    storage = load_deployment(config, sets).storage
    if file.exists():
        raise Failure(f"{str(file)!r} is there already: name a new file")
    if not file.absolute().parent.is_dir():
        raise Failure(f"there is no folder {str(file.absolute().parent)!r}")
    if not os.access(file.absolute().parent, os.W_OK | os.X_OK):
        raise Failure(f"the folder {str(file.absolute().parent)!r} cannot be written to")
    run(_copy(storage, file))
    click.echo(f"Copied to {file}, {file.stat().st_size:,} bytes.")


async def _copy(storage: Storage, file: Path) -> None:
    from agentops.cli.opening import as_it_is, opened
    from agentops.cli.progress import progress
    from agentops.core.ports.backup import Backup

    if not isinstance(storage, Backup):
        raise Failure(_other_tools(storage, file))
    source = as_it_is(storage)
    async with opened(source):
        _give_up_at_once_when_interrupted(file)
        with progress(f"Copying to {file.name}") as tell:
            await source.backup(file, tell)  # type: ignore[attr-defined]


def _give_up_at_once_when_interrupted(file: Path) -> None:
    """The copy is made in a thread, which nothing but the end of the process stops."""

    def give_up(_number: int, _frame: object) -> None:
        for name in ("partial", "partial-journal"):
            file.with_name(f"{file.name}.{name}").unlink(missing_ok=True)
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, give_up)


def _other_tools(storage: Storage, file: Path) -> str:
    from agentops.core.secret import Secret

    url = getattr(storage.settings, "url", None)
    address = _without_password(url.reveal()) if isinstance(url, Secret) else ""
    if address.startswith("postgres"):
        command = f"pg_dump --format=custom --file={shlex.quote(str(file))} {shlex.quote(address)}"
        return f"Postgres is copied by its own tool, while it serves: {command} (the password goes into PGPASSWORD)"
    return f"the storage {type(storage).__name__} cannot copy itself: use the tools of its database"


def _without_password(url: str) -> str:
    """What is left is shown: of the options behind `?` only those that are known to be no secret."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    shown = [(name, value) for name, value in parse_qsl(parts.query) if name in {"host", "port", "sslmode"}]
    return parts._replace(netloc=user.partition(":")[0] + at + place, query=urlencode(shown)).geturl()
