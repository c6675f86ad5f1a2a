"""`agentops check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from agentops.core.deployment import Deployment
    from agentops.core.kit import Kit


@click.command
@deployment_options
@click.option("--connect", is_flag=True, help="Also start and stop every part: reach the database, prepare its schema.")
def command(config: str | None, sets: tuple[str, ...], connect: bool) -> None:
    """Say what is wrong with a deployment, or what it is.

    Without --connect nothing is started, reached or changed. Each mistake is one line: file and key, what is wrong,
    why it matters, and the nearest right thing. Secrets are never printed.

    Examples:
      agentops check
      agentops check --config agentops.toml --connect

    Exit codes: 0 nothing is wrong; 1 mistakes were printed; 2 wrong usage; 3 a part could not start (--connect).
    """
    from agentops.cli.describing import deployment_in_words

    deployment = load_deployment(config, sets)
    kit = _built(deployment)
    if connect:
        _start_and_stop(kit)
    rows = list(deployment_in_words(deployment))
    width = max(len(name) for name, _ in rows)
    for name, words in rows:
        click.echo(f"{name:<{width}}  {words}")
    click.echo("Nothing is wrong, and every part started." if connect else "Nothing is wrong.")


def _built(deployment: Deployment) -> Kit:
    """What is wrong with routes, and with limits on them, is seen when they are made; nothing starts."""
    from agentops.core.kit import Kit

    kit = Kit.of(deployment)
    kit.app()
    return kit


def _start_and_stop(kit: Kit) -> None:
    import asyncio

    from agentops.core.errors import StartError

    async def once() -> None:
        async with kit.running():
            if kit.down:
                raise StartError("; ".join(kit.down.values()))

    asyncio.run(once())
