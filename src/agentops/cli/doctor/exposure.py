"""What a deployment lets happen by its settings: right as a configuration, and perhaps not what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentops.cli.doctor.asking import Answer
from agentops.core.lanes import is_loopback
from agentops.core.ports.diagnosis import Finding
from agentops.core.ports.telemetry import Telemetry
from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from agentops.core.deployment import Deployment
    from agentops.core.lanes import Lane


def look_at(deployment: Deployment, url: str | None, watched: Collection[Lane]) -> list[Answer]:
    """`url` is where others reach it, and `watched` are the lanes that serve `operations`."""
    reached = [] if is_loopback(deployment.server.host) else [deployment.server.host or "every address"]
    reached += [url] if url and not is_loopback(urlsplit(url).hostname or "") else []
    return [
        Answer("who may enter", list(open_lanes(deployment, " and ".join(reached)))),
        Answer("who may call from a page", list(open_to_pages(deployment))),
        Answer("whether it can be watched", list(unwatched(deployment, watched))),
    ]


def open_lanes(deployment: Deployment, reached: str) -> Iterator[Finding]:
    """Whoever wrote `open = true` and named nobody to ask has meant it."""
    for lane in deployment.lanes:
        if not reached or not lane.is_unguarded(deployment.auth):
            continue
        cause = "its authenticators have nothing to check against" if lane.auth else "it names no authenticator"
        yield Finding(
            "risk" if lane.auth or not lane.open else "advice",
            Problem(
                f"{lane.key}.auth",
                f"{lane.path} is open, for {cause}, and others reach it at {reached}",
                "anybody who finds it may do there whatever it serves",
                "give it a key, or keep it if that is meant",
            ),
        )


def open_to_pages(deployment: Deployment) -> Iterator[Finding]:
    """Where a key is asked for, a page does not have it; an open lane asks for nothing."""
    for lane in deployment.lanes:
        if "*" in lane.cors and lane.is_unguarded(deployment.auth):
            yield Finding(
                "advice",
                Problem(
                    f"{lane.key}.cors",
                    f"{lane.path} is open, and pages of every origin may call it",
                    "any page in a browser that reaches it can read and write its runs, on this machine too",
                    'give the lane a key, or name the origins: cors = ["https://…"]',
                ),
            )


def _has_figures(deployment: Deployment) -> bool:
    """Whether any sink takes what is counted, as all do but those for lines."""
    return any(type(sink).count is not Telemetry.count for sink in deployment.telemetry.values())


def unwatched(deployment: Deployment, watched: Collection[Lane]) -> Iterator[Finding]:
    if not watched:
        yield Finding(
            "advice",
            Problem(
                "lanes",
                "no lane serves `operations`",
                "nothing can ask whether the server is ready, how its parts are, or for its figures",
                'add "operations" to the `serve` of a lane',
            ),
        )
    elif not _has_figures(deployment):
        yield Finding(
            "advice",
            Problem(
                "telemetry",
                "nothing keeps figures",
                "/metrics answers 404, and nobody sees a trend before it is a failure",
                'add a table [telemetry.prometheus] with use = "prometheus"',
            ),
        )
