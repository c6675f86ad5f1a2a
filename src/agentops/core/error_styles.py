"""The six ways in which a lane says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.core.config.settings import ErrorStyle
    from agentops.core.errors import Refusal

_OPENAI_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_V1_CODES: Final = {"unauthorized": "UNAUTHENTICATED"}


def _plain(refusal: Refusal, _request_id: str) -> dict[str, Any]:
    return {"error": refusal.code} | ({"message": refusal.message} if refusal.message else {})


def _detail(refusal: Refusal, _request_id: str) -> dict[str, Any]:
    return {"detail": refusal.message or refusal.title}


def _error_v1(refusal: Refusal, request_id: str) -> dict[str, Any]:
    return {
        "schema": "error.v1",
        "code": _V1_CODES.get(refusal.code, refusal.code.upper()),
        "message": refusal.message or refusal.title,
        "details": {"hint": refusal.hint} if refusal.hint else {},
        "request_id": request_id,
    }


def _problem(refusal: Refusal, request_id: str) -> dict[str, Any]:
    problem: dict[str, Any] = {"type": "about:blank", "title": refusal.title, "status": refusal.status}
    if refusal.message:
        problem["detail"] = refusal.message
    return problem | {"code": refusal.code, "request_id": request_id}


def _openai(refusal: Refusal, _request_id: str) -> dict[str, Any]:
    kind = "server_error" if refusal.status >= 500 else _OPENAI_TYPES.get(refusal.status, "invalid_request_error")
    message = refusal.message or refusal.title
    return {"error": {"message": message, "type": kind, "param": refusal.param, "code": refusal.code}}


def _anthropic(refusal: Refusal, request_id: str) -> dict[str, Any]:
    kind = _ANTHROPIC_TYPES.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
    error = {"type": kind, "message": refusal.message or refusal.title}
    return {"type": "error", "error": error, "request_id": request_id}


_STYLES: Final[dict[ErrorStyle, Callable[[Refusal, str], dict[str, Any]]]] = {
    "plain": _plain,
    "detail": _detail,
    "error.v1": _error_v1,
    "problem": _problem,
    "openai": _openai,
    "anthropic": _anthropic,
}


def media_type(style: ErrorStyle) -> bytes:
    return b"application/problem+json" if style == "problem" else b"application/json"


def render(style: ErrorStyle, refusal: Refusal, request_id: str) -> bytes:
    """Write the refusal as a lane of this style would; what a style has no place for is left out."""
    return msgspec.json.encode(_STYLES[style](refusal, request_id))
