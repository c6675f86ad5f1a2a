"""The routes of those who run the server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from litestar import Request, Response, get

from agentops.core.errors import NotFound
from agentops.core.http.answers import Answer, json_answer
from agentops.core.plugin import Settings
from agentops.core.ports.exposition import Exposes
from agentops.core.ports.feature import Feature
from agentops.plugins.features.operations import openapi
from agentops.plugins.features.operations.performance import Performance

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from agentops.core.health import HealthChecks
    from agentops.core.ports.health import HealthStatus
    from agentops.core.rungs import Rungs

AnyRequest = Request[Any, Any, Any]

_PUBLIC: Final = {"public": True}
_READ: Final = {"permission": "operations:read"}


class OperationsSettings(Settings):
    """`[features.operations]`."""

    open_metrics: bool = False
    """Let anybody who reaches the lane read `/metrics`, as many who fetch it can show no credential."""


class Operations(Feature[OperationsSettings]):
    """`serve = ["operations"]`: probes for whoever asks, figures for those who may."""

    permissions: ClassVar = {"operations:read": "read metrics, and how fast each route is"}

    _health: HealthChecks
    _exposing: Sequence[Exposes]
    _performance: Performance

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._health = rungs.health
        self._exposing = [sink for sink in rungs.telemetry.values() if isinstance(sink, Exposes)]
        self._performance = Performance()
        with rungs.signals.told_to(self._performance):
            yield

    def routes(self) -> Sequence[object]:
        metrics: Mapping[str, object] = _PUBLIC if self.settings.open_metrics else _READ
        return [
            get("/health", opt=_PUBLIC, **openapi.HEALTH)(self.report),
            get("/health/component/{name:str}", opt=_PUBLIC, **openapi.COMPONENT)(self.component),
            get("/live", opt=_PUBLIC, **openapi.LIVE)(self.live),
            get("/ready", opt=_PUBLIC, **openapi.READY)(self.ready),
            get("/system/status", opt=_PUBLIC, **openapi.STATUS)(self.status),
            get("/metrics", opt=metrics, **openapi.METRICS)(self.metrics),
            get("/performance", opt=_READ, **openapi.PERFORMANCE)(self.performance),
        ]

    async def report(self) -> Response[bytes]:
        report = await self._health.report()
        return json_answer(report, _code(report.status))

    async def component(self, request: AnyRequest) -> Response[bytes]:
        component = await self._health.component(request.path_params["name"])
        if component is None:
            raise NotFound(
                f"no part of this name can tell how it is; there are {', '.join(self._health.names)}",
                code="component_not_found",
            )
        return json_answer(component, _code(component.status))

    async def live(self) -> Response[bytes]:
        """Asks nothing of anybody: a database that is away is no reason to be restarted."""
        return json_answer({"status": "alive"})

    async def ready(self) -> Response[bytes]:
        if self._health.draining:
            return json_answer({"status": "draining"}, 503)
        status = (await self._health.report()).status
        return json_answer({"status": "ready" if status != "unhealthy" else status}, _code(status))

    async def status(self) -> Response[bytes]:
        return json_answer({"status": (await self._health.report()).status})

    async def metrics(self) -> Response[bytes]:
        if not self._exposing:
            raise NotFound("no telemetry of this deployment keeps figures", code="no_metrics")
        body, media_type = self._exposing[0].exposition()
        return Answer(body, media_type=media_type.encode())

    async def performance(self) -> Response[bytes]:
        return json_answer(self._performance.figures())


def _code(status: HealthStatus) -> int:
    return 503 if status == "unhealthy" else 200
