"""The kit composes parts into a server: an application of its own, or lanes inside another one."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from litestar.plugins import InitPlugin

from agentops._version import __version__
from agentops.core.config.settings import EventSettings, ServerSettings
from agentops.core.deployment import Deployment
from agentops.core.discovery import find, where_raised
from agentops.core.draining import Draining
from agentops.core.errors import AgentopsError, StartError
from agentops.core.eventlog import EventLog
from agentops.core.forever import in_background
from agentops.core.health import HealthChecks
from agentops.core.http.app import build_app
from agentops.core.http.gate import lane_at
from agentops.core.leaving import Leaving
from agentops.core.problem import ConfigurationError
from agentops.core.retrying import Retrying
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.core.vouched import Vouched

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from litestar import Litestar
    from litestar.config.app import AppConfig

    from agentops.core.lanes import Lane
    from agentops.core.plugin import Plugin
    from agentops.core.ports.auth import Authenticator
    from agentops.core.ports.bus import Bus
    from agentops.core.ports.limiter import Limiter
    from agentops.core.ports.model import Model
    from agentops.core.ports.retry import Retry
    from agentops.core.ports.storage import Storage
    from agentops.core.ports.telemetry import Telemetry


class Kit(InitPlugin):
    """`kit.app()` is a Litestar application; `Litestar(..., plugins=[kit])` adds the lanes to one that exists.

    Without a bus it has the one in memory; without any telemetry the log, for a failing request must be told somewhere.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        lanes: Sequence[Lane],
        models: Mapping[str, Model] | None = None,
        auth: Mapping[str, Authenticator] | None = None,
        telemetry: Mapping[str, Telemetry] | None = None,
        bus: Bus | None = None,
        limiter: Limiter | None = None,
        retry: Retry | None = None,
        server: ServerSettings | None = None,
        events: EventSettings | None = None,
        source: str = "",
    ) -> None:
        self.deployment = Deployment(
            storage=storage,
            lanes=lanes,
            models=models or {},
            auth=auth or {},
            telemetry=telemetry or {"log": cast("type[Telemetry]", find("telemetry", "log"))()},
            bus=bus or cast("type[Bus]", find("bus", "memory"))(),
            limiter=limiter,
            retry=retry,
            server=server or ServerSettings(),
            events=events or EventSettings(),
            source=source,
        )
        problems = self.deployment.problems()
        if problems:
            raise ConfigurationError(problems)
        self._signals = Signals()
        self._draining = Draining()
        self._health: HealthChecks | None = None
        self._vouched = Vouched(self.deployment.events.poll_seconds)
        self.down: dict[str, str] = {}
        """The authenticators that could not start, and why; their lanes answer 503, and all others serve."""

    @classmethod
    def from_config(
        cls,
        config: str | Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        sets: Sequence[str] = (),
    ) -> Kit:
        """Compose what a configuration file describes: a path, or the name of a deployment that ships."""
        from agentops.core.config.load import load

        return cls.of(load(config, environ=os.environ if environ is None else environ, sets=sets))

    @classmethod
    def of(cls, deployment: Deployment) -> Kit:
        """Compose what was described; what it does not name has its default."""
        return cls(**{field.name: getattr(deployment, field.name) for field in fields(deployment)})

    def app(self) -> Litestar:
        return build_app(
            self.deployment,
            signals=self._signals,
            lifespan=self._life,
            version=__version__,
            vouched=self._vouched,
            down=self.down.keys(),
        )

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.lifespan.append(self._inside)  # pyright: ignore[reportUnknownMemberType]
        return app_config

    def give_notice(self) -> None:
        """Let `/ready` say no from now on, and serve as before: whoever routes requests here is to see it first."""
        if self._health is not None:
            self._health.draining = True

    def drain(self) -> None:
        """End the open streams, so that a server that waits for its connections can stop."""
        self.give_notice()
        self._draining.begin()

    def retry(self, operation: str, *, target: str = "", seconds: float | None = None, **labels: str) -> Retrying:
        """A call that leaves the server, tried again as `[retry]` says; `Retrying` shows how it is written."""
        return Retrying(self.deployment.retry, operation, target, seconds, labels)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Start every part in ladder order; stop what was started in reverse, however this ends."""
        parts = self.deployment
        async with AsyncExitStack() as stack:
            self._draining = Draining()
            rungs = Rungs(signals=self._signals, draining=self._draining)
            for name, sink in parts.telemetry.items():
                await _start(stack, f"telemetry {name!r}", sink, rungs)
                stack.enter_context(self._signals.told_to(sink))
            await _start(stack, "storage", parts.storage, rungs)
            rungs = rungs.with_part("storage", parts.storage)
            await _start(stack, "bus", parts.bus, rungs)
            stack.enter_context(self._vouched.in_touch_with(parts.bus))
            events = EventLog(parts.storage, parts.bus, self._signals, parts.events)
            await stack.enter_async_context(events.life())
            self._draining.tell(events.drain)
            rungs = rungs.with_part("bus", parts.bus).with_part("events", events)
            if parts.limiter is not None:
                await _start(stack, "limiter", parts.limiter, rungs)
                rungs = rungs.with_part("limiter", parts.limiter)
            if parts.retry is not None:
                await _start(stack, "retry", parts.retry, rungs)
                rungs = rungs.with_part("retry", parts.retry)
            for name, model in parts.models.items():
                await _start(stack, f"model {name!r}", model, rungs)
            rungs = rungs.with_part("models", parts.models)
            await self._start_authenticators(stack, rungs)
            working = {name: part for name, part in parts.auth.items() if name not in self.down}
            rungs = rungs.with_part("auth", working).with_part("permissions", parts.permissions)
            rungs = rungs.with_part("vouched", self._vouched)
            self._health = HealthChecks(parts.parts(), self.down, self._signals)
            rungs = rungs.with_part("health", self._health).with_part("telemetry", parts.telemetry)
            await stack.enter_async_context(in_background(self._signals, {"vouched": self._vouched.step}))
            for feature in parts.features:
                await _start(stack, f"feature {type(feature).__name__}", feature, rungs)
            self._tell_open_lanes()
            self._signals.event("server.started", version=__version__, lanes=[lane.path for lane in parts.lanes])
            stack.callback(self._signals.event, "server.stopping")
            with Leaving(self.give_notice, self.drain, parts.server.notice_seconds).when_signalled():
                yield

    def _life(self, _app: Litestar) -> AbstractAsyncContextManager[None]:
        return self.running()

    async def _start_authenticators(self, stack: AsyncExitStack, rungs: Rungs) -> None:
        """One that fails closes its own lanes, and nobody else's."""
        self.down.clear()
        for name, authenticator in self.deployment.auth.items():
            try:
                await _start(stack, f"auth {name!r}", authenticator, rungs)
            except StartError as error:
                self.down[name] = str(error)
                lanes = [lane.path for lane in self.deployment.lanes if name in lane.auth]
                self._signals.event("auth.down", "error", auth=name, lanes=lanes, reason=str(error))

    @asynccontextmanager
    async def _inside(self, host: Litestar) -> AsyncGenerator[None]:
        """Stand before the host's own handler: its middleware, CORS and error handlers would wrap any route of ours."""
        lanes = self.app()
        original = host.asgi_handler

        async def choose(scope: Any, receive: Any, send: Any) -> None:
            own = scope["type"] == "http" and lane_at(self.deployment.lanes, scope) is not None
            await (lanes if own else original)(scope, receive, send)

        async with self.running():
            host.asgi_handler = choose
            try:
                yield
            finally:
                host.asgi_handler = original

    def _tell_open_lanes(self) -> None:
        for lane in self.deployment.lanes:
            if lane.is_unguarded(self.deployment.auth):
                self._signals.event(
                    "lane.open",
                    "warning",
                    lane=lane.name,
                    path=lane.path,
                    meaning="anybody who reaches this address may use it",
                )


async def _start(stack: AsyncExitStack, name: str, plugin: Plugin[Any], rungs: Rungs) -> None:
    try:
        await stack.enter_async_context(plugin.life(rungs))
    except AgentopsError as error:
        raise StartError(f"{name} could not start: {error}") from error
    except Exception as error:
        raise StartError(f"{name} could not start: {where_raised(error)}") from error
