"""Who asks for a change over HTTP, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentops.accounts.audit import Origin
from agentops.core.http.gate import context_of

if TYPE_CHECKING:
    from litestar import Request


def origin_of(request: Request[Any, Any, Any]) -> Origin:
    """The caller that the lane's guard let in; on a public route that is nobody, until the service knows better."""
    context, client = context_of(request.scope), request.scope["client"]
    return Origin(
        project=request.user.project,
        actor=request.user.subject,
        credential=request.user.credential,
        lane=context.lane.name or context.lane.path if context.lane else "",
        address=client[0] if client else None,
        request_id=context.request_id,
        signals=context.signals,
    )
