"""Health: for a plugin of any kind that can tell whether it works."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

HealthStatus = Literal["healthy", "degraded", "unhealthy"]


class Health(NamedTuple):
    """How a part is, and what an operator should know of it; nothing secret, for whoever asks may read it."""

    status: HealthStatus = "healthy"
    details: dict[str, Any] = {}


@runtime_checkable
class ChecksHealth(Protocol):
    """Ask what stands behind the plugin for as little as shows that it works."""

    @property
    def critical(self) -> bool:
        """Whether the deployment is unhealthy without it, or merely degraded."""
        ...

    async def health(self) -> Health:
        """Whatever is raised means unhealthy; no answer within seconds does, too."""
        ...
