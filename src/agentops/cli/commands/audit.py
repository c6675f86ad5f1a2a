"""`agentops audit`."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from agentops.cli.accounts import chosen, in_words, projects_options
from agentops.cli.exporting import STANDARD_OUTPUT, exported_to
from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage


@click.group
def command() -> None:
    """Read the audit trail.

    It tells who changed a user, a key or a right, from where, when, and how it ended. It holds no secret.

    Example:
      agentops audit export | jq .action

    Exit codes: 0 done; 1 wrong configuration, or the file cannot be written; 2 wrong usage; 3 the database cannot be
    read now, or the disk is full; 130 interrupted.
    """


@command.command("export")
@click.option(
    "--output",
    metavar="FILE",
    default=STANDARD_OUTPUT,
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    help="A new file; standard output without it.",
)
@projects_options
@deployment_options
def export(config: str | None, sets: tuple[str, ...], project: str | None, every: bool, output: Path) -> None:
    """Write the audit trail as NDJSON, oldest first.

    A line is an entry: {"id", "at", "project", "lane", "actor", "credential", "action", "target", "outcome",
    "reason", "address", "requestId", "details"}; `at` is in epoch milliseconds. Reads the database itself, also
    while it is being served. What the command line changed has no lane and an actor that begins with `cli:`.

    Examples:
      agentops audit export --output audit.ndjson
      agentops audit export --all-projects | jq 'select(.outcome != "ok")'

    Exit codes: 0 all was written; 1 FILE is there already or cannot be written; 2 wrong usage; 3 the database cannot
    be read now, or the disk is full; 130 interrupted.
    """
    from agentops.cli.opening import run

    wanted = chosen(project, every)
    storage = load_deployment(config, sets).storage
    with exported_to(output, resumable=False) as target:
        count = run(_export(storage, wanted, target))
    whose = "all projects" if wanted is None else in_words(wanted)
    click.echo(f"Exported {count:,} entries of {whose}.", err=True)


async def _export(storage: Storage, project: str | None, target: IO[bytes]) -> int:
    import msgspec

    from agentops.accounts.audit import everything
    from agentops.cli.opening import as_it_is, opened
    from agentops.cli.progress import progress

    count = 0
    encode = msgspec.json.Encoder().encode
    async with opened(as_it_is(storage)) as source:
        with progress("Exporting entries") as tell:
            async for entry in everything(source, project):
                target.write(encode(entry) + b"\n")
                count += 1
                tell(count)
    return count
