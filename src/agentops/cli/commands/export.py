"""`agentops export`."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from agentops.cli.exporting import STANDARD_OUTPUT, exported_to
from agentops.cli.failures import Failure
from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from agentops.cli.transfer.reading import Place, Selection
    from agentops.core.ports.storage import Storage


@click.command
@click.argument("file", default=STANDARD_OUTPUT, type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@deployment_options
@click.option(
    "--run",
    "runs",
    metavar="ID",
    multiple=True,
    help="Only this run, of project `default` without --project; may be repeated.",
)
@click.option("--project", metavar="P", help="Only this project; all of them without it.")
@click.option("--resume", is_flag=True, help="Go on behind the last whole line of FILE.")
def command(
    file: Path, *, config: str | None, sets: tuple[str, ...], runs: tuple[str, ...], project: str | None, resume: bool
) -> None:
    """Write runs and events as NDJSON.

    FILE is a new file, or `-` for standard output. Reads the database itself, also while it is being served. A line
    is a run ({"project", "run"}) or one of its events ({"project", "event"}, and "key" if it has one). An export
    that was interrupted goes on with --resume and the same options; runs made since it began are not in it.

    Not in it: what retention deleted, and anything but runs and events.

    Examples:
      agentops export runs.ndjson
      agentops export --run my-run | jq .event.type

    Exit codes: 0 all was written; 1 FILE is there already or cannot be written, no such run or project;
    2 wrong usage; 3 the database cannot be read now, or the disk is full; 130 interrupted.
    """
    from agentops.cli import opening
    from agentops.cli.transfer.reading import Selection

    storage = load_deployment(config, sets).storage
    if resume and str(file) == STANDARD_OUTPUT:
        raise click.UsageError("--resume needs a FILE: standard output cannot be read back")
    place = _end_of(file) if resume and file.exists() else None
    with exported_to(file, resumable=True, resume=resume) as target:
        run_count, event_count = opening.run(
            _export(storage, Selection(project, tuple(dict.fromkeys(runs))), place, target)
        )
    click.echo(f"Exported {event_count:,} events of {run_count:,} runs.", err=True)


async def _export(storage: Storage, selection: Selection, place: Place | None, target: IO[bytes]) -> tuple[int, int]:
    from agentops.cli.opening import as_it_is, opened
    from agentops.cli.progress import progress
    from agentops.cli.transfer.reading import parts

    runs = events = 0
    async with opened(as_it_is(storage)) as source:
        with progress("Exporting events") as tell:
            async for part in parts(source, selection, place):
                target.write(part.text)
                runs, events = runs + part.runs, events + part.events
                tell(events)
    return runs, events


def _end_of(file: Path) -> Place | None:
    """Cut off a last line that is not whole, and read the one before it."""
    from agentops.cli.transfer.reading import Place
    from agentops.cli.transfer.records import BadLineError, read_line

    with file.open("r+b") as opened:
        size = opened.seek(0, 2)
        if not size:
            return None
        with mmap.mmap(opened.fileno(), 0) as content:
            end = content.rfind(b"\n") + 1
            last = content[content.rfind(b"\n", 0, max(end - 1, 0)) + 1 : end]
        try:
            line = read_line(last) if last else None
        except BadLineError as error:
            raise Failure(f"{str(file)!r} is no export: its last line cannot be read ({error})") from None
        if line is None:
            raise Failure(f"{str(file)!r} is no export: it has no whole line")
        opened.truncate(end)
    return Place(line.project, line.run_name, int(line.event.id) if line.event else 0)
