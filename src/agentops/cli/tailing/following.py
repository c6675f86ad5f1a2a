"""Follows a run for as long as anybody watches, over as many connections as that takes."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

import click

from agentops.cli.tailing.lane import Lost
from agentops.client.sse import SseParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentops.cli.tailing.lane import Lane
    from agentops.client.sse import ServerSentEvent

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 10.0


def follow(lane: Lane, run: str, after: str) -> Iterator[ServerSentEvent]:
    """Events and gaps behind an id, for ever; a connection that is lost is made again, behind the last event."""
    pause = FIRST_PAUSE
    connected = True
    while True:
        parser = SseParser()
        reason = "it closed the stream"
        try:
            for piece in lane.stream(run, after):
                if not connected:
                    note("connected again")
                connected, pause = True, FIRST_PAUSE
                for event in parser.feed(piece):
                    after = event.id or after
                    yield event
        except Lost as lost:
            reason = str(lost)
        if connected:
            note(f"lost {lane.url} ({reason}); trying again")
        connected = False
        time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - so that a crowd does not come back in step
        pause = min(pause * 2, LONGEST_PAUSE)


def note(text: str) -> None:
    click.secho(f"-- {text}", dim=True, err=True)
