"""`agentops doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentops.cli.options import deployment_options, load_deployment
from agentops.cli.reaching import checked_key, checked_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.cli.doctor.asking import Answer

WRONG, UNANSWERED = 1, 3


@click.command
@deployment_options
@click.option("--url", metavar="URL", help="Where the server is reached; without it, where [server] says it listens.")
@click.option(
    "--key",
    metavar="KEY",
    envvar="AGENTOPS_API_KEY",
    show_envvar=True,
    help="A key with the permission operations:read, to ask which routes fail.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(config: str | None, sets: tuple[str, ...], url: str | None, key: str | None, *, as_json: bool) -> None:
    """Say what is wrong where a deployment runs.

    Looks at the configuration as `check` does, then asks the running server over HTTP, the database and the other
    parts themselves. Nothing is started, migrated or written, and no question waits longer than three seconds. What
    it finds is told worst first: what, why it matters, and what to do. Secrets are never printed.

    Run it with the configuration, the environment and the user that the server has: it sees what they show it.

    Examples:
      agentops doctor --config agentops.toml
      agentops doctor --config agentops.toml --url https://ops.example.com --json | jq .findings

    Exit codes: 0 nothing is wrong, though something may be worth knowing; 1 something fails or is at risk; 2 wrong
    usage; 3 the server, the database or another part could not be asked: what else was found is told all the same.
    """
    import msgspec

    from agentops.cli.doctor.examination import examine
    from agentops.cli.doctor.page import page, record

    given = None if url is None else checked_url(url, like="https://ops.example.com")
    found = examine(lambda: load_deployment(config, sets), given, checked_key(key))
    if as_json:
        click.echo(msgspec.json.encode(record(found.answers, file=found.file, url=found.url)))
    else:
        click.echo(page(found.head, found.answers))
    raise click.exceptions.Exit(_code(found.answers))


def _code(answers: Sequence[Answer]) -> int:
    weights = {finding.weight for answer in answers for finding in answer.findings}
    if "unanswered" in weights:
        return UNANSWERED
    return WRONG if weights & {"failing", "risk"} else 0
