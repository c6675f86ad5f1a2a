"""`agentops migrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage


@click.command
@deployment_options
def command(config: str | None, sets: tuple[str, ...]) -> None:
    """Bring the database's schema up to date.

    A server does so when it starts, unless [storage] says `migrate = false`; then this does, with an account that
    may change the schema. It makes a database that is not there, and changes nothing when there is nothing to do.

    Examples:
      agentops migrate
      agentops migrate --config agentops.toml

    Exit codes: 0 the schema is up to date; 1 wrong configuration; 2 wrong usage; 3 the database cannot be reached,
    or was migrated by a newer version of this program.
    """
    from agentops.cli.opening import run

    click.echo(run(_migrate(load_deployment(config, sets).storage)))


async def _migrate(storage: Storage) -> str:
    from agentops.cli.opening import as_it_is

    before = await _revision(as_it_is(storage))
    await storage.migrate()
    after = await _revision(as_it_is(storage))
    if after is None:
        return "The schema is up to date."
    return f"The schema was up to date: {after}." if before == after else f"The schema is now up to date: {after}."


async def _revision(storage: Storage) -> str | None:
    """The revision of a database that is up to date; one that is not lets nobody in to ask."""
    from sqlalchemy import text

    from agentops.cli.opening import opened
    from agentops.core.errors import StartError
    from agentops.sql.migrations import STORED_REVISION
    from agentops.sql.storage import SqlStorage

    if not isinstance(storage, SqlStorage):
        return None
    try:
        async with opened(storage), storage.read() as connection:
            return str((await connection.execute(text(STORED_REVISION))).scalar_one())
    except StartError:
        return None
