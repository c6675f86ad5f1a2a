"""`agentops import`."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from agentops.cli.failures import Failure, NotNow
from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from agentops.cli.transfer.writing import Importer
    from agentops.core.ports.storage import Storage


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@deployment_options
def command(file: Path, config: str | None, sets: tuple[str, ...]) -> None:
    """Read back what `export` wrote.

    FILE is an export, or `-` for standard input. Writes to the database itself, also while it is being served. The
    same file again changes nothing, so an import that was interrupted is simply started again.

    Kept: each event's content with its time, and each run's title, status and times. A run that is there already
    keeps its own. Given anew: the ids of events, so cursors of clients start over; `eventCount` counts what was
    imported. An event without a key is given one, by which it is known when it comes again.

    Examples:
      agentops import runs.ndjson
      agentops import runs.ndjson --set storage.path=moved.sqlite

    Exit codes: 0 all is stored; 1 no such file, or a line is wrong (what stands before it may be stored);
    2 wrong usage; 3 the database cannot be written to now; 130 interrupted.
    """
    from agentops.cli import opening

    storage = load_deployment(config, sets).storage
    source: AbstractContextManager[IO[bytes]]
    source = nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb")
    with source as lines:
        done = opening.run(_import(storage, lines, _size(lines)))
    already = f"; {done.there_already:,} were there already" if done.there_already else ""
    click.echo(f"Imported {done.events:,} events and {done.runs:,} new runs{already}.", err=True)


async def _import(storage: Storage, lines: IO[bytes], size: int | None) -> Importer:
    from agentops.cli.opening import opened
    from agentops.cli.progress import progress
    from agentops.cli.transfer.writing import Importer
    from agentops.core.errors import Unavailable

    async with opened(storage):
        importer = Importer(storage)
        with progress("Importing bytes") as tell:
            try:
                await _read(lines, importer, lambda done: tell(done, size))
            except Unavailable as error:
                raise NotNow(f"{error}; what was imported is kept, and the same command goes on") from error
    return importer


async def _read(lines: IO[bytes], importer: Importer, tell: Callable[[int], None]) -> None:
    from agentops.cli.transfer.records import LONGEST_LINE, BadLineError, read_line

    number = done = 0
    while text := lines.readline(LONGEST_LINE):
        number += 1
        done += len(text)
        if not text.strip():
            continue
        try:
            line = read_line(text)
        except BadLineError as error:
            cut_off = not text.endswith(b"\n")
            why = "it is cut off: go on with `agentops export --resume` first" if cut_off else str(error)
            raise Failure(f"line {number} of {lines.name!r} cannot be imported: {why}") from None
        await importer.add(line, len(text))
        tell(done)
    await importer.flush()


def _size(lines: IO[bytes]) -> int | None:
    found = os.fstat(lines.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None
