"""`agentops serve`."""

from __future__ import annotations

import click

from agentops.cli.options import deployment_options


@click.command
@deployment_options
@click.option("--host", metavar="H", help="Address to listen on; server.host of the file.")
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), help="Port, 0 for any that is free; server.port.")
@click.option("--workers", metavar="N", type=click.IntRange(1), help="Worker processes; server.workers.")
@click.option("--engine", type=click.Choice(["uvicorn", "granian"]), help="Web server; server.engine.")
def command(config: str | None, sets: tuple[str, ...], **server: str | int | None) -> None:
    """Serve a deployment.

    Checks everything first: every mistake is printed, a line each, and nothing is started. Then prints where it
    listens, and serves until it is stopped. SIGTERM or Ctrl-C lets open streams end and stores what was accepted;
    that takes a few seconds at most.

    Examples:
      agentops serve
      agentops serve --config agentops.toml --port 9000
      agentops serve --set storage.path=/data/agentops.sqlite

    Exit codes: 0 told to stop, and everything accepted is stored; 1 wrong configuration; 2 wrong usage;
    3 cannot start: port taken, database locked or out of reach.
    """
    from agentops.cli.serving.order import Order

    given = [f"server.{name}={value}" for name, value in server.items() if value is not None]
    order = Order(config, (*sets, *given))
    kit = order.kit()
    if kit.deployment.server.engine == "granian":
        from agentops.cli.serving import on_granian

        on_granian.serve_in_workers(kit, order)
        return
    from agentops.cli.serving import on_uvicorn

    if kit.deployment.server.workers == 1:
        on_uvicorn.serve_here(kit)
    else:
        on_uvicorn.serve_in_workers(kit, order)
