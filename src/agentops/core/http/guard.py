"""Who may pass: a lane's chain of authenticators, then the permission that the route asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from litestar.middleware import ASGIMiddleware

from agentops.core.discovery import where_raised
from agentops.core.errors import Forbidden, Refusal, Unauthorized, Unavailable
from agentops.core.identity import ANONYMOUS
from agentops.core.ports.auth import Caller
from agentops.core.serving import SERVED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agentops.core.http.asgi import App, Receive, Scope, Send
    from agentops.core.identity import Identity
    from agentops.core.lanes import Lane
    from agentops.core.limits import Limits
    from agentops.core.ports.auth import Authenticator
    from agentops.core.signals import Signals

PUBLIC: Final = "public"
PERMISSION: Final = "permission"
SUCCESS: Final = "auth_success"


class Guard(ASGIMiddleware):
    """One per lane. An empty chain is an open lane; a chain that answers `None` throughout is a 401."""

    def __init__(
        self,
        lane: Lane,
        chain: Sequence[tuple[str, Authenticator]],
        limits: Limits | None,
        signals: Signals,
        down: Collection[str],
    ) -> None:
        """`down` holds the names of those that could not start: whoever would have to ask one of them is told so."""
        self._lane = lane
        self._limits = limits
        self._chain = tuple(chain)
        self._signals = signals
        self._down = down

    def __deepcopy__(self, _memo: object) -> Self:
        """Litestar copies a router's middleware; a copy of the signals would tell nobody."""
        return self

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: App) -> None:
        handler = scope["route_handler"]
        made_by_litestar = scope["method"] == "OPTIONS" and handler.fn.__module__.startswith("litestar.")
        scope["user"] = ANONYMOUS if made_by_litestar else await self.admit(scope, handler.opt)
        await next_app(scope, receive, send)

    async def admit(self, scope: Scope, needs: Mapping[str, Any]) -> Identity:
        """Return who is calling, if that caller may use a route with these needs; the scope keeps who vouched."""
        scope["auth"] = None
        served = SERVED.get()
        if served is not None:
            served["route"] = scope["path_template"]
        peer = scope["client"][0] if scope["client"] else None
        if self._limits is not None:
            await self._limits.before(peer)
        public = needs.get(PUBLIC, False)
        if public or not self._chain:
            identity = ANONYMOUS
        else:
            with self._signals.span("authenticate"):
                identity = await self._identify(scope, Caller(scope["headers"], peer))
        if served is not None:
            served["subject"] = identity.subject
        if self._limits is not None:
            route = scope["path_template"].removeprefix(self._lane.path)
            await self._limits.after(identity, peer, f"{scope['method']} {route}")
        if not public and not identity.may(needs[PERMISSION]):
            raise Forbidden(f"this needs the permission {needs[PERMISSION]!r}")
        return identity

    async def _identify(self, scope: Scope, caller: Caller) -> Identity:
        for name, authenticator in self._chain:
            if name in self._down:
                raise Unavailable("credentials cannot be checked right now", code="auth_unavailable")
            try:
                identity = await authenticator.authenticate(caller)
            except Unauthorized:
                self._judged("auth_invalid_key")
                raise
            except Refusal:
                raise
            except Exception as error:
                self._signals.event("auth.failed", "error", lane=self._lane.name, auth=name, reason=where_raised(error))
                raise Unavailable("credentials cannot be checked right now", code="auth_unavailable") from error
            if identity is not None:
                scope["auth"] = authenticator
                self._judged(SUCCESS)
                return identity
        self._judged("auth_missing_header")
        raise Unauthorized

    def _judged(self, outcome: str) -> None:
        """Named after the lane, for those who watch one of several; the line of a refused request says it as well."""
        lane, served = self._lane.name, SERVED.get()
        if served is not None and outcome != SUCCESS:
            served["auth"] = outcome
        self._signals.event(f"{lane}.{outcome}" if lane else outcome, "debug", lane=lane)
        self._signals.count("auth", lane=lane, outcome=outcome)
