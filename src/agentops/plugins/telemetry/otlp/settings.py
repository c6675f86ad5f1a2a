"""What can be said of a collector, and what can be wrong with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from agentops.core.problem import Problem
from agentops.core.secret import Secret
from agentops.figures import FigureSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


class OtlpSettings(FigureSettings):
    """`use = "otlp"`."""

    endpoint: str = "http://localhost:4318"
    """Where the collector takes OTLP over HTTP; `/v1/traces` and `/v1/metrics` are added to it."""
    headers: dict[str, Secret] = {}
    """Sent with everything, for a collector that wants to know who we are."""
    service: Annotated[str, Meta(min_length=1, max_length=255)] = "agentops"
    """`service.name` of all that is sent."""
    attributes: dict[str, str] = {}
    """More that is true of this process, such as `"deployment.environment.name" = "staging"`."""
    traces: bool = True
    metrics: bool = True
    sample: Annotated[float, Meta(ge=0, le=1)] = 0.01
    """The share of requests that are traced. Callers who send a `traceparent` have decided for themselves."""
    interval_seconds: Annotated[float, Meta(ge=0.05, le=3600)] = 10.0
    """How often what there is is sent; traces sooner when many wait."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 5.0
    """How long the collector may take to accept what it is sent."""
    stop_seconds: Annotated[float, Meta(ge=0, le=10)] = 1.5
    """How long a server that stops waits for the collector to take the rest."""
    spans_most: Annotated[int, Meta(ge=1, le=100_000)] = 4_096
    """What may wait; while the collector is away, what comes beyond is lost."""
    prefix: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_.]*[._])?(?!\n)$")] = "agentops."
    """How the names of all figures begin."""


def wrong_endpoint(settings: OtlpSettings) -> Iterator[Problem]:
    try:
        parts = urlsplit(settings.endpoint)
        is_fit = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fit, parts = False, urlsplit("")
    if not is_fit or not settings.endpoint.isascii() or re.search(r"[\s\x00-\x1f]", settings.endpoint):
        yield Problem(
            "endpoint",
            "this is no address of a collector",
            "nothing could be sent",
            'write it as "http://localhost:4318" or "https://collector.example"',
        )
    elif parts.username is not None or parts.query or parts.fragment:
        yield Problem(
            "endpoint",
            "there is more in it than where the collector is",
            "it is shown in warnings, where a credential would be read by whoever reads them",
            "put credentials into [telemetry.<name>.headers], and take away what follows a ? or #",
        )
