"""What the OpenAPI document says of the operator's routes."""

from __future__ import annotations

from typing import Any, Final

from agentops.core.errors import NotFound, Unavailable
from agentops.core.health import Component, HealthReport
from agentops.core.http.describing import answered, documented
from agentops.plugins.features.operations.performance import RouteFigures

_COMPONENT: Final[dict[str, Any]] = {
    "status": "healthy",
    "response_time_ms": 0.41,
    "critical": True,
    "checked_at": 1767225600.0,
    "details": {},
}
_AWAY: Final = Unavailable("credentials cannot be checked right now", code="auth_unavailable")


_REPORT: Final[dict[str, Any]] = {"status": "healthy", "components": {"storage": _COMPONENT}}
_STATUS: Final = dict[str, str]

HEALTH: Final = documented(
    "How the server and each of its parts is",
    description="A part is asked for at most 3 seconds, and its answer is kept for 30.",
    responses={
        "200": answered("It works, though perhaps not all of it", HealthReport, _REPORT),
        "503": answered(
            "Something fails without which it cannot work", HealthReport, _REPORT | {"status": "unhealthy"}
        ),
    },
)
COMPONENT: Final = documented(
    "How one part is",
    responses={
        "200": answered("It works, or partly", Component, _COMPONENT),
        "503": answered("It fails", Component, _COMPONENT | {"status": "unhealthy"}),
    },
    refusals=(NotFound("no part of this name can tell how it is", code="component_not_found"),),
)
LIVE: Final = documented(
    "Whether the process answers",
    responses={"200": answered("It does", _STATUS, {"status": "alive"})},
)
READY: Final = documented(
    "Whether requests are welcome",
    responses={
        "200": answered("They are", _STATUS, {"status": "ready"}),
        "503": answered("It is about to stop, or unhealthy", _STATUS, {"status": "draining"}),
    },
)
STATUS: Final = documented(
    "How the server is, in one word",
    responses={"200": answered("The word", _STATUS, {"status": "healthy"})},
)
METRICS: Final = documented(
    "Every figure, for Prometheus",
    responses={"200": {"description": "The figures", "content": {"text/plain": {"schema": str}}}},
    refusals=(NotFound("no telemetry of this deployment keeps figures", code="no_metrics"), _AWAY),
)
PERFORMANCE: Final = documented(
    "How often each route was asked, and how long it took",
    description="Since this process started, in milliseconds; percentiles are right to a twentieth.",
    responses={
        "200": answered(
            "Each route that was asked",
            list[RouteFigures],
            [
                {
                    "method": "GET",
                    "route": "/api/v1/runs",
                    "count": 120,
                    "errors": 1,
                    "p50": 1.2,
                    "p95": 4.1,
                    "p99": 9.8,
                }
            ],
        )
    },
    refusals=(_AWAY,),
)
