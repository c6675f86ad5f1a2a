"""What goes wrong, in the words of the API in which was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from agentops.core.error_styles import render
from agentops.core.errors import BadRequest
from agentops.core.masking import masked_in_strangers
from agentops.core.ports.model import ModelFault

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentops.core.ports.model import Api

OVERLOADED: Final = 529
_SILENT: Final = "the provider said no, and not why"

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


def told(api: Api, error: Error, secrets: Collection[str]) -> ModelFault:
    """What the provider says as if it were an answer, or in the middle of one; what `secrets` are in it is masked."""
    masked = Error(masked_in_strangers(error.type, secrets), masked_in_strangers(error.message, secrets))
    body = msgspec.json.encode({"type": "error", "error": masked})
    return in_words_of(api, ModelFault(masked.message or _SILENT, _STATUSES.get(masked.type, 500), body=body))


def in_words_of(api: Api, fault: ModelFault) -> ModelFault:
    """The provider's no, for a caller who asked in the words of `api`; when it is overloaded it may be asked again."""
    if fault.status == OVERLOADED:
        fault.headers.setdefault("x-should-retry", "true")
    if api == "chat" and fault.body:
        fault.body = _in_chat(fault.body)
    return fault


def _in_chat(body: bytes) -> bytes:
    try:
        error = msgspec.json.decode(body, type=ErrorBody).error
    except msgspec.DecodeError:
        return b""
    kind = _OPENAI_TYPES.get(error.type, error.type or "server_error")
    said = {"message": error.message or _SILENT, "type": kind, "param": None, "code": error.type or None}
    return msgspec.json.encode({"error": said})
