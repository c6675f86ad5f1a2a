"""What a caller is told when no provider answered: the provider's own words where they are about the request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.errors import Refusal, Unavailable
from agentops.core.ports.model import WAIT_HEADERS, ModelFault
from agentops.plugins.features.gateway.limits import NEVER
from agentops.plugins.features.gateway.presence import Ended

if TYPE_CHECKING:
    from agentops.core.config.settings import ErrorStyle
    from agentops.core.ports.model import Api
    from agentops.plugins.features.gateway.call import Call

_OURS: Final = frozenset({401, 402, 403})
"""Said of the key that this server has at the provider: nothing that the caller could mend."""
_KEPT: Final = frozenset({502, 503, 504, 529})
_SANE: Final = re.compile(r"[A-Za-z0-9 ,:.-]{1,40}")
_REFUSED: Final = 400
_FAULTY: Final = 500
_WORDS_MOST: Final = 2_000


class ProviderRefusal(Refusal):
    """A provider's no, handed on."""

    status, code, title = 502, "provider_failed", "The provider failed"

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None, **headers: str) -> None:
        super().__init__(message, code=code, param=param, headers=headers)
        self.status = status


class _Told(msgspec.Struct):
    """The error object of either API."""

    message: str = ""
    code: Any = None
    param: Any = None
    type: Any = None


class _Body(msgspec.Struct):
    error: _Told = msgspec.field(default_factory=_Told)


def style_of(api: Api) -> ErrorStyle:
    return "anthropic" if api == "messages" else "openai"


def refusal_for(error: Exception, call: Call | None) -> Refusal:
    """A refusal for whatever ended a call; what is nobody's fault that can be named here is raised again."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Ended):
        return _of_ended(error)
    if not isinstance(error, ModelFault) or call is None:
        raise error
    if error.status is None:
        return ProviderRefusal(502, f"{call.provider}: {error.message}", code="provider_unreachable")
    told = _told(error.body)
    message = (told.message or error.message)[:_WORDS_MOST]
    headers = {name: said for name in WAIT_HEADERS if _SANE.fullmatch(said := error.headers.get(name, ""))}
    if error.status in _OURS and not call.own_key:
        message = f"{call.provider} refuses the key that this server has there (status {error.status})"
        return ProviderRefusal(502, message, code="provider_refused", **NEVER)
    if error.status in _OURS:
        message = f"{call.provider} refuses your own key: {message}"
    status = error.status if _REFUSED <= error.status < _FAULTY or error.status in _KEPT else 502
    code = told.code if isinstance(told.code, str) else "provider_error"
    return ProviderRefusal(
        status, message, code=code, param=told.param if isinstance(told.param, str) else None, **headers
    )


def _of_ended(ended: Ended) -> Refusal:
    if ended.reason == "late":
        return ProviderRefusal(504, "the call took longer than calls may take here", code="timeout")
    if ended.reason == "revoked":
        return ProviderRefusal(401, "the credential was withdrawn", code="unauthorized", **NEVER)
    return Unavailable("the server is shutting down", code="draining")


def _told(body: bytes) -> _Told:
    try:
        return msgspec.json.decode(body, type=_Body).error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _Told()
