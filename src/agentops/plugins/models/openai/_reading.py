"""What the answers of all of OpenAI's APIs have in common: usage, and errors that come as if they were answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.ports.model import ModelFault, Usage
from agentops.outgoing import as_object, fault

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


TOKENS_MOST: Final = 10**12
"""A count above is none."""

_STATUSES: Final = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "internal_error": 500,
    "overloaded_error": 503,
    "timeout": 504,
}
_NO_STATUS: Final = 502
"""That something failed behind the provider is all that is known."""


def usage_of(said: object, read: str, written: str) -> Usage | None:
    """`read` and `written` are the names of the two counts; without a sound one of what was read there is no usage."""
    counts = as_object(said)
    came_in = _count(counts.get(read))
    if came_in is None:
        return None
    details = as_object(counts.get(f"{read}_details"))
    cached = min(_count(details.get("cached_tokens")) or 0, came_in)
    put_there = min(_count(details.get("cache_write_tokens")) or 0, came_in - cached)
    return Usage(came_in, _count(counts.get(written)) or 0, cached, put_there)


def refuse_error(said: object, secrets: Collection[str]) -> None:
    """Raise what a provider says in place of an answer."""
    if said:
        raise fault_of(said, secrets)


def fault_of(said: object, secrets: Collection[str]) -> ModelFault:
    told = said if isinstance(said, str) and said else "the provider failed in the middle of its answer"
    error = as_object(said) or {"message": told}
    return fault(_status_of(error), msgspec.json.encode({"error": error}), error, secrets)


def _status_of(error: Mapping[str, Any]) -> int:
    for name in ("code", "status", "type"):
        value = error.get(name)
        if isinstance(value, str):
            value = int(value) if value.isdecimal() and len(value) == 3 else _STATUSES.get(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return _NO_STATUS


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= TOKENS_MOST else None
