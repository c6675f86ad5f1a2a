"""`agentops init`."""

from __future__ import annotations

from pathlib import Path

import click

from agentops.cli.failures import Failure
from agentops.cli.options import LOCAL_FILE


@click.command
@click.argument("file", default=LOCAL_FILE, type=click.Path(path_type=Path))
@click.option("--from", "name", metavar="NAME", help="Which of the deployments that ship; `dashboard` without it.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def command(file: Path, name: str | None, force: bool) -> None:
    """Write a configuration file to start from.

    FILE is ./agentops.toml unless you name another. It is a copy of a deployment that ships, commented; the
    commands find ./agentops.toml by themselves.

    Examples:
      agentops init
      agentops init my.toml --from dashboard

    Exit codes: 0 written; 1 the file is there already, or cannot be written, or no deployment is called so;
    2 wrong usage; 3 the disk is full.
    """
    from agentops.core.config.files import DEFAULT, shipped
    from agentops.core.problem import nearest

    known = shipped()
    chosen = name or DEFAULT
    if chosen not in known:
        raise Failure(f"no deployment that ships is called {chosen!r}: {nearest(chosen, known)}")
    try:
        with file.open("wb" if force else "xb") as target:
            target.write(known[chosen].read_bytes())
    except FileExistsError:
        raise Failure(f"{str(file)!r} is there already: name another file, or overwrite it with --force") from None
    click.echo(f"Wrote {file}, the deployment {chosen!r}. `agentops check --config {file}` says what it is.")
