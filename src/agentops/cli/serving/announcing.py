"""Says where a deployment is served, once it is."""

from __future__ import annotations

import http.client
import time
from threading import Thread
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from agentops._version import __version__
from agentops.cli.describing import lane_in_words
from agentops.cli.reaching import dialled

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.core.deployment import Deployment

_TRY_AGAIN_SECONDS: Final = 0.05


def announce(deployment: Deployment, url: str) -> None:
    click.echo(f"agentops {__version__} serves {deployment.source} on {url}")
    for lane in deployment.lanes:
        click.echo(f"  {url}{lane.path}  {lane_in_words(lane, deployment.auth)}")
    click.echo(f"  {url}/healthz  whether it answers")
    if deployment.server.schema:
        click.echo(f"  {url}/schema  OpenAPI, of every route")


def when_it_answers(url: str, tell: Callable[[], None]) -> None:
    """Call back from a thread as soon as worker processes serve; they cannot say so themselves."""
    Thread(target=_ask_until_answered, args=(url, tell), name="agentops announcing", daemon=True).start()


def _ask_until_answered(url: str, tell: Callable[[], None]) -> None:
    address = urlsplit(url)
    host = dialled(address.hostname or "")
    while True:
        connection = http.client.HTTPConnection(host, address.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.client.OK:
                tell()
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(_TRY_AGAIN_SECONDS)
