"""`agentops tail`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentops.cli.failures import Failure, NotNow
from agentops.cli.reaching import checked_key, checked_url

if TYPE_CHECKING:
    from agentops.cli.tailing.lane import Lane
    from agentops.client.sse import ServerSentEvent


@click.command
@click.argument("run")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is recorded from now on, until Ctrl-C.")
@click.option(
    "--url",
    metavar="URL",
    default="http://127.0.0.1:8787/api",
    envvar="AGENTOPS_URL",
    show_default=True,
    show_envvar=True,
    help="The address of a lane that serves runs.",
)
@click.option("--key", metavar="KEY", envvar="AGENTOPS_API_KEY", show_envvar=True, help="Sent as x-api-key.")
@click.option("--after", metavar="ID", type=click.IntRange(0), default=0, help="Begin behind the event of this id.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as it was sent, one JSON object a line.")
def command(run: str, *, follow: bool, url: str, key: str | None, after: int, as_json: bool) -> None:
    """Print the events of a run, and follow it live.

    Asks a running server over HTTP. With --follow the run need not exist yet, and a connection that is lost is made
    again, behind the last event that was printed: nothing is missed and nothing comes twice. Where retention has
    deleted what was asked for, a line says so.

    Examples:
      agentops tail my-run --follow
      agentops tail my-run --url https://ops.example.com/api --json | jq .payload

    Exit codes: 0 all was printed; 1 no such run, no such lane, or the key was refused; 2 wrong usage;
    3 the server cannot be reached; 130 ended with Ctrl-C.
    """
    from agentops.cli.tailing.lane import Lane, Lost

    lane = Lane(checked_url(url, like="http://127.0.0.1:8787/api"), checked_key(key))
    try:
        exists = lane.has_run(run)
    except Lost as lost:
        raise NotNow(f"cannot reach {lane.url}: {lost}") from lost
    if follow:
        _follow(lane, run, str(after), exists, as_json)
        return
    if not exists:
        raise Failure(f"no run is called {run!r} at {lane.url}")
    try:
        for page in lane.pages(run, str(after)):
            click.echo("\n".join(_line(event, as_json) for event in page))
    except Lost as lost:
        raise NotNow(f"lost {lane.url}: {lost}") from lost


def _follow(lane: Lane, run: str, after: str, exists: bool, as_json: bool) -> None:
    from agentops.cli.tailing.following import follow, note

    if not exists:
        note(f"no run is called {run!r} yet; waiting for its first event")
    for event in follow(lane, run, after):
        if event.event == "gap":
            note(_gap(event))
        elif event.event == "message":
            click.echo(_line(event.data.encode(), as_json))


def _line(event: bytes, as_json: bool) -> str:
    from agentops.cli.tailing.lines import event_line

    return event.decode("utf-8", "replace") if as_json else event_line(event)


def _gap(event: ServerSentEvent) -> str:
    import json

    from agentops.cli.tailing.lines import printable

    try:
        gap = json.loads(event.data)
        return printable(f"gap: what came after {gap['after']} and before {gap['oldest']} was deleted by retention")
    except (ValueError, KeyError, TypeError):
        return "gap: some events were deleted by retention"
