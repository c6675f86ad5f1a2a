"""The Litestar application: a router per lane, and at the root what belongs to no lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar, Router, get
from litestar.openapi.config import OpenAPIConfig

from agentops.core.http.describing import answered, documented
from agentops.core.http.document import Document
from agentops.core.http.express import Express, template_of
from agentops.core.http.failures import Failures
from agentops.core.http.gate import Gate
from agentops.core.http.guard import PERMISSION, PUBLIC, Guard
from agentops.core.lanes import holds
from agentops.core.limits import Limits, LimitSettings
from agentops.core.problem import ConfigurationError, Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from agentops.core.deployment import Deployment
    from agentops.core.lanes import Lane
    from agentops.core.signals import Signals
    from agentops.core.vouched import Vouched


_HEALTH: Final = documented(
    "Whether the process answers",
    responses={"200": answered("It does", dict[str, str], {"status": "ok"})},
)


@get("/healthz", opt={PUBLIC: True}, operation_id="healthz", tags=["server"], **_HEALTH)
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


def build_app(
    deployment: Deployment,
    *,
    signals: Signals,
    lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]],
    version: str,
    vouched: Vouched,
    down: Collection[str],
) -> Litestar:
    """Make the application; nothing of it has started when this returns."""
    schema = OpenAPIConfig(
        title="agentops",
        version=version,
        path="/schema",
        render_plugins=[Document(deployment)],
    )
    failures = Failures(signals)
    guards = {lane.path: _guard(lane, deployment, signals, down) for lane in deployment.lanes}
    app = Litestar(
        route_handlers=[healthz, *(_router(lane, guards[lane.path]) for lane in deployment.lanes)],
        exception_handlers={Exception: failures},
        openapi_config=schema if deployment.server.schema else None,
        lifespan=[lifespan],
        logging_config=None,
    )
    _refuse_undeclared(app, deployment)
    _refuse_limits_on_nothing(app, deployment.lanes)
    express = Express(app, guards, failures)
    app.asgi_handler = Gate(app.asgi_handler, express, deployment, vouched, signals)
    return app


def _guard(lane: Lane, deployment: Deployment, signals: Signals, down: Collection[str]) -> Guard:
    chain = [(name, deployment.auth[name]) for name in lane.auth if deployment.auth[name].armed]
    limits = None
    if deployment.limiter is not None:
        limits = Limits(lane.path, lane.name, lane.limits or LimitSettings(), deployment.limiter, signals)
    return Guard(lane, chain, limits, signals, down)


def _router(lane: Lane, guard: Guard) -> Router:
    routes: list[Any] = [route for feature in lane.serve for route in feature.routes()]
    return Router(lane.path, route_handlers=routes, middleware=[guard])


def _refuse_undeclared(app: Litestar, deployment: Deployment) -> None:
    """A route that says nothing of who may use it would be everybody's by oversight."""
    problems = [
        problem
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if any(holds(lane.path, route.path) for lane in deployment.lanes)
        and not handler.fn.__module__.startswith("litestar.")
        for problem in _undeclared(f"{type(handler.fn).__name__} {route.path}", handler.opt, deployment.permissions)
    ]
    if problems:
        raise ConfigurationError(problems)


def _refuse_limits_on_nothing(app: Litestar, lanes: Sequence[Lane]) -> None:
    """A limit that is written for no route would protect nothing, and nobody would notice."""
    problems: list[Problem] = []
    for lane in lanes:
        if lane.limits is None:
            continue
        routes = {
            f"{method} {template_of(route.path).removeprefix(lane.path)}"
            for route in app.routes
            if holds(lane.path, route.path)
            for method in getattr(route, "methods", ())
        }
        problems += [
            Problem(
                f"{lane.key}.limits.routes",
                f"no route is {route!r}",
                "the limit would never be reached",
                nearest(route, routes),
            )
            for route in lane.limits.routes
            if route not in routes
        ]
    if problems:
        raise ConfigurationError(problems)


def _undeclared(key: str, needs: Mapping[str, Any], registry: Mapping[str, str]) -> Iterator[Problem]:
    if not needs.keys() & {PERMISSION, PUBLIC}:
        yield Problem(
            key=key,
            what="the route declares no permission",
            why="nobody has decided who may use it",
            remedy='give it opt={"permission": "resource:action"} or opt={"public": True}',
        )
    elif PERMISSION in needs and needs[PERMISSION] not in registry:
        yield Problem(
            key=key,
            what=f"there is no permission {needs[PERMISSION]!r}",
            why="it could be granted to nobody",
            remedy=f"{nearest(needs[PERMISSION], registry)}; a feature names its own in `permissions`",
        )
