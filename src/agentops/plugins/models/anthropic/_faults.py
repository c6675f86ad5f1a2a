"""What goes wrong, in the words of the API in which was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.error_styles import render
from agentops.core.errors import BadRequest
from agentops.core.ports.model import ModelFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.core.ports.model import Api

OVERLOADED: Final = 529

_STATUSES: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": OVERLOADED,
}
_OPENAI_TYPES: Final = {
    "api_error": "server_error",
    "billing_error": "insufficient_quota",
    "overloaded_error": "server_error",
    "request_too_large": "invalid_request_error",
    "timeout_error": "server_error",
}


class Error(msgspec.Struct):
    type: str = ""
    message: str = ""


class ErrorBody(msgspec.Struct):
    """An error as the provider writes it, as an answer or as an event of a stream."""

    error: Error


def unsayable(param: str, why: str) -> ModelFault:
    """The field `param` of a chat order cannot be said to this provider, so the call is not made."""
    refusal = BadRequest(f"`{param}`: {why}", code="unsupported_value", param=param)
    return ModelFault(refusal.message, refusal.status, body=render("openai", refusal, ""))


def told(api: Api, error: Error, status: int | None = None, headers: Mapping[str, str] | None = None) -> ModelFault:
    """The provider's no; without a status of its answer, the one that its kind of error has."""
    known = _STATUSES.get(error.type, 500) if status is None else status
    said = dict(headers or {})
    if known == OVERLOADED:
        said.setdefault("x-should-retry", "true")
    return ModelFault(error.message or "the provider said no", known, headers=said, body=_body(api, error))


def _body(api: Api, error: Error) -> bytes:
    return msgspec.json.encode(_native(error) if api == "messages" else _openai(error))


def _native(error: Error) -> dict[str, Any]:
    return {"type": "error", "error": {"type": error.type or "api_error", "message": error.message}}


def _openai(error: Error) -> dict[str, Any]:
    kind = _OPENAI_TYPES.get(error.type, error.type or "server_error")
    return {"error": {"message": error.message, "type": kind, "param": None, "code": error.type or None}}
