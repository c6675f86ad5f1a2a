"""`agentops prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentops.cli.failures import Failure
from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage


@click.command
@deployment_options
@click.option(
    "--keep", metavar="N", type=click.IntRange(1), help="Events kept in each run; events.retention of the file."
)
def command(config: str | None, sets: tuple[str, ...], keep: int | None) -> None:
    """Delete all but the newest events of each run.

    A server does so by itself, a little later and in small portions; this does it now, and works while one is
    serving. What is deleted is gone.

    Examples:
      agentops prune
      agentops prune --keep 1000

    Exit codes: 0 done; 1 the file keeps all events (events.retention = 0) and --keep was not given;
    2 wrong usage; 3 the database cannot be written to now; 130 interrupted, what went until then is gone.
    """
    from agentops.cli.opening import run

    deployment = load_deployment(config, sets)
    keep = keep or deployment.events.retention
    if not keep:
        raise Failure("this deployment keeps all events (events.retention = 0): say how many with --keep")
    events, runs = run(_prune(deployment.storage, keep))
    click.echo(f"Deleted {events:,} events of {runs:,} runs; the newest {keep:,} of each are kept.")


async def _prune(storage: Storage, keep: int) -> tuple[int, int]:
    from agentops.cli.opening import as_it_is, opened
    from agentops.cli.progress import progress

    gone = runs = 0
    async with opened(as_it_is(storage)) as source:
        overfull = await source.overfull(keep)
        with progress("Pruning runs") as tell:
            for project, run in overfull:
                tell(runs, len(overfull))
                gone += await source.prune(project, run, keep)
                runs += 1
    return gone, runs
