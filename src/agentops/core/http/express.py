"""A shorter way for the few routes that are asked thousands of times a second."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from litestar import Request
from litestar.handlers import HTTPRouteHandler

from agentops.core.lanes import holds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar import Litestar

    from agentops.core.http.asgi import Receive, Scope, Send
    from agentops.core.http.failures import Failures
    from agentops.core.http.guard import Guard

EXPRESS: Final = "express"


class _Route(NamedTuple):
    pattern: re.Pattern[str]
    template: str
    handler: HTTPRouteHandler
    guard: Guard


class Express:
    """Calls a handler that declares `opt={"express": True}` straight from the gate.

    Litestar's routing, layers and signature model cost more than such a handler itself, so they are left out: it
    takes `request` and the parts of its path, and returns an `Answer`. The guard and the error styles are the same.
    Without the mark the same handler works the long way; see `docs/decisions/0006-express-routes.md`.
    """

    def __init__(self, app: Litestar, guards: Mapping[str, Guard], failures: Failures) -> None:
        self._failures = failures
        self._routes: dict[str, list[_Route]] = {}
        for route in app.routes:
            for handler in getattr(route, "route_handlers", ()):
                if handler.opt.get(EXPRESS):
                    guard = next(guards[path] for path in guards if holds(path, route.path))
                    for method in handler.http_methods:
                        self._routes.setdefault(method, []).append(
                            _Route(_pattern(route.path), template_of(route.path), handler, guard)
                        )

    async def answers(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer the request if it is for one of these routes."""
        for route in self._routes.get(scope["method"], ()):
            match = route.pattern.fullmatch(scope["path"].removeprefix(scope.get("root_path", "")))
            if match is not None:
                answer = await self._answer(scope, receive, route, match.groupdict())
                del match
                await answer(scope, receive, send)
                return True
        return False

    async def _answer(self, scope: Scope, receive: Receive, route: _Route, parts: dict[str, str]) -> Any:
        """A function of its own, so that a stream holds nothing of it while it lasts."""
        request: Request[Any, Any, Any] = Request(scope, receive)
        scope["route_handler"] = route.handler
        scope["path_template"] = route.template
        try:
            scope["user"] = await route.guard.admit(scope, route.handler.opt)
            return await route.handler.fn(request=request, **parts)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises becomes an answer
            return self._failures(request, error)


def template_of(path: str) -> str:
    """The path of a route as Litestar names it in a request: with the names of its parts, without their types."""
    return re.sub(r":\w+\}", "}", path)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+):str\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?")
