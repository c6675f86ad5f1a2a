"""Everything that is raised while a request is answered becomes an answer in the style of its place."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from litestar.exceptions import HTTPException

from agentops.core.error_styles import media_type, render
from agentops.core.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Refusal,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from agentops.core.http.answers import Answer
from agentops.core.http.gate import ENCODED_SLASH, context_of, path_of

if TYPE_CHECKING:
    from collections.abc import Container

    from litestar import Request

    from agentops.core.config.settings import ErrorStyle
    from agentops.core.signals import Signals

CLOSES_UNAUTHORIZED: Final[Container[ErrorStyle]] = {"plain"}
"""The style whose clients expect it. To keep the connection is cheaper: a new one costs twice what a refusal does."""

_BY_STATUS: Final[dict[int, type[Refusal]]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        TooLarge,
        UnsupportedMediaType,
        TooManyRequests,
        Unavailable,
    )
}


class Failures:
    """Litestar's exception handler for the whole application."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def __call__(self, request: Request[Any, Any, Any], error: Exception) -> Answer:
        context = context_of(request.scope)
        refusal = as_refusal(error)
        if isinstance(refusal, InternalError):
            path = request.scope["path"].replace(ENCODED_SLASH, "%2F")
            self._signals.event("request.failed", "error", request_id=context.request_id, path=path, error=error)
        style: ErrorStyle = context.lane.style_at(path_of(request.scope)) if context.lane else "problem"
        headers = dict(refusal.headers)
        if refusal.status == HTTPStatus.UNAUTHORIZED and style in CLOSES_UNAUTHORIZED:
            headers["Connection"] = "close"
        return Answer(render(style, refusal, context.request_id), refusal.status, headers, media_type(style))


def as_refusal(error: Exception) -> Refusal:
    """Litestar's own errors keep their status and tell what is wrong; anything unforeseen tells nothing."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException) and error.status_code in _BY_STATUS:
        refusal = _BY_STATUS[error.status_code](error.detail if error.status_code == HTTPStatus.BAD_REQUEST else "")
        refusal.headers |= error.headers or {}
        return refusal
    return InternalError()
