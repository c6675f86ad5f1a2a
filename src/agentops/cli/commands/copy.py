"""`agentops copy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from agentops.cli.failures import Failure, NotNow
from agentops.cli.options import deployment_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.ports.storage import Storage
    from agentops.sql.copying.copying import Outcome
    from agentops.sql.copying.sides import CopiedFrom, CopiedInto
    from agentops.sql.copying.verifying import Checked

SIDE: Final = "sqlite|postgres|FILE|NAME"


@click.command
@click.option("--from", "source", metavar=SIDE, required=True, help="What is copied; see above.")
@click.option("--to", "target", metavar=SIDE, required=True, help="What it is copied into: an empty database.")
@click.option("--verify-only", is_flag=True, help="Copy nothing: compare the two, while neither is served.")
@deployment_options
@click.pass_context
def command(
    context: click.Context, *, source: str, target: str, verify_only: bool, config: str | None, sets: tuple[str, ...]
) -> None:
    """Copy everything into another kind of database while it is served.

    From SQLite into Postgres: runs, events with their ids, users, keys, sessions, webhooks and the audit trail. The
    cursors of clients, the keys of agents and the sessions of people stay good.

    Each side is a configuration file (or the name of a deployment that ships), whose [storage] is meant; or `sqlite`
    or `postgres`, the storage of the configuration in effect (--config and --set) if that uses it. Else `postgres`
    is at DATABASE_URL.

    Run it while the server serves, as often as you like: it goes on where it was, also when it was killed. Then stop
    the server, and run it once more: it copies what is left, compares every row of both, and opens the target.
    Until then no server starts on the target.

    Examples:
      DATABASE_URL=postgresql://… agentops copy --from sqlite --to postgres
      agentops copy --from old.toml --to new.toml

    Exit codes: 0 all is copied, and both are equal; 1 wrong configuration, a target that has data of its own, a row
    that cannot be copied, or a difference; 2 wrong usage; 3 the source is still open in another process, or a
    database cannot be read or written now (the same command goes on); 130 interrupted (the same).
    """
    from agentops.cli import opening
    from agentops.cli.copying import outcome
    from agentops.cli.copying.sides import storage_of

    left, right = _sides(storage_of("--from", source, config, sets), storage_of("--to", target, config, sets))
    if verify_only:
        checked = opening.run(_verify(left, right))
        outcome.print_checked(checked)
        outcome.require_equal(checked, "One of them was changed since it was copied")
        return
    done = opening.run(_copy(left, right))
    if not done.checked:
        outcome.say_level(done.copied, done.left)
        context.exit(NotNow.exit_code)
    outcome.print_checked(done.checked)
    outcome.require_equal(
        done.checked, "The target stays closed to servers. Make it an empty database again, and copy anew"
    )
    click.echo(f"Copied {done.copied:,} rows. Both are equal, and the target may be served. Serve the source no more.")


def _sides(source: Storage[Any], target: Storage[Any]) -> tuple[CopiedFrom, CopiedInto]:
    from agentops.cli.copying.sides import INSTEAD
    from agentops.sql.copying.sides import CopiedFrom, CopiedInto

    if isinstance(source, CopiedFrom) and isinstance(target, CopiedInto):
        return source, target
    kinds = f"from {type(source).__name__} to {type(target).__name__}"
    raise Failure(f"nothing is copied {kinds}, only from Sqlite to Postgres; {INSTEAD}")


async def _copy(left: CopiedFrom, right: CopiedInto) -> Outcome:
    from agentops.cli.progress import stages
    from agentops.core.errors import Unavailable
    from agentops.sql.copying.copying import Copying

    try:
        with stages() as tell:
            async with left.copied_from() as source, right.copied_into() as target:
                return await Copying(source, target, tell).run()
    except Unavailable as error:
        raise NotNow(f"{error}; what was copied is kept, and the same command goes on") from error


async def _verify(left: CopiedFrom, right: CopiedInto) -> Sequence[Checked]:
    from agentops.cli.progress import stages
    from agentops.sql.copying.verifying import verify

    with stages() as tell:
        async with left.copied_from() as source, right.copied_into() as target:
            if not await source.hold():
                raise NotNow(f"another process has {source.place} open: stop the server, for what changes is not equal")
            await target.refuse_served()
            return await verify(source, target, tell)
