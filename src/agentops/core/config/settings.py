"""The sections of a configuration file that belong to the core; plugins bring the settings of their own tables."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from agentops.core.limits import LimitSettings
from agentops.core.plugin import Settings

ErrorStyle = Literal["plain", "detail", "error.v1", "problem", "openai", "anthropic"]

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class ServerSettings(Settings):
    """`[server]`: where to listen, and with what."""

    host: str = "127.0.0.1"
    port: Port = 8787
    workers: Positive = 1
    engine: Literal["uvicorn", "granian"] = "uvicorn"
    notice_seconds: Annotated[float, Meta(ge=0)] = 0.0
    """How long `/ready` says no before a server that was told to stop stops: as long as a balancer needs to see it."""
    max_body_bytes: Positive = 8 * 1024 * 1024
    schema: bool = True
    """Serve the OpenAPI document at `/schema`."""


class EventSettings(Settings):
    """`[events]`: how the event log keeps, queues and streams."""

    retention: NotNegative = 5000
    """Events kept in each run, the newest; 0 keeps all."""
    retention_days: Annotated[float, Meta(ge=0)] = 0.0
    """For how long events are kept, or up to a twentieth longer; 0 keeps them however old they are."""
    queue_events: Positive = 20_000
    queue_bytes: Positive = 64 * 1024 * 1024
    """What may wait for a commit; beyond either bound the answer is 503."""
    heartbeat_seconds: Seconds = 15.0
    stall_seconds: Seconds = 5.0
    """A stream whose reader takes nothing for so long is closed; it resumes where it was."""
    poll_seconds: Seconds = 2.0
    """How soon a stream sees what another process wrote when its ring was lost."""


class LaneSettings(Settings):
    """`[lanes.<name>]`: a path, who may enter, what is served there, and how errors look."""

    path: str
    serve: list[str]
    auth: list[str] = []
    errors: ErrorStyle = "problem"
    open: bool = False
    """Set to true to serve a lane without authenticators on an address that others can reach."""
    cors: list[str] = []
    """Origins whose pages may call this lane; `*` is any."""
    limits: LimitSettings | None = None
    """How often it may be asked; what counts is named in `[limiter]`."""
