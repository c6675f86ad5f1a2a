"""Calls as events of a run: what was asked, each try that failed, and what came of it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from agentops.core.records import EventBody, NewEvent, now_ms
from agentops.money.purses import day_named

if TYPE_CHECKING:
    from agentops.core.identity import Identity
    from agentops.plugins.features.gateway.asked import Question
    from agentops.plugins.features.gateway.call import Call
    from agentops.plugins.features.gateway.settings import Content

CONTENT_MOST: Final = 1024 * 1024
"""Bytes of content in one event; of more, and of what is nested too deeply, it is only said how much it was."""

_CONTENT: Final = ("system", "instructions", "messages", "input", "tools")
_REDACTED: Final = tuple(
    (re.compile(pattern), f"[{name}]")
    for name, pattern in (
        ("data", r"data:[a-z0-9.+/-]+;base64,[A-Za-z0-9+/=]+"),
        ("email", r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"),
        ("secret", r"\b(sk|pk|rk|ak|uc|ghp|gho|xox[abp]|AKIA|AIza)[-_]?[A-Za-z0-9_-]{16,}"),
        ("secret", r"(?<![\w-])eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
        ("secret", r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}"),
        ("iban", r"\b[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){3,7}( ?[A-Z0-9]{1,3})?\b"),
        ("number", r"(?<![\w.])\+?[0-9][0-9 ()/-]{7,}[0-9](?![\w.])"),
    )
)
"""What looks like a person's or a secret; a few harmless numbers are lost with it.

None begins within what it may be made of: a long word would be read anew from each of its letters, while all wait.
"""

_encode: Final = msgspec.json.Encoder().encode


def run_of(identity: Identity, at_ms: int | None = None) -> str:
    """Where the calls of a key are told that names no run: one for each day."""
    return _run_of(identity.credential or identity.subject, day_named(now_ms() if at_ms is None else at_ms))


@lru_cache(maxsize=4096)
def _run_of(who: str, day: str) -> str:
    return f"llm-{re.sub(r'[^A-Za-z0-9._-]+', '-', who)[:160]}-{day}"


def asked_event(call: Call) -> NewEvent:
    payload: dict[str, Any] = {
        "call": call.id,
        "api": call.question.api,
        "model": call.question.asked.model,
        "stream": call.question.streamed,
        "parameters": call.question.parameters,
    }
    if call.content != "off":
        payload["content"] = _content_of(call.question, call.content)
    return _event(call, call.at, "llm.request", "info", payload)


def ended_events(call: Call) -> list[NewEvent]:
    """The tries that failed, and the end."""
    events = [
        _event(call, failure.at, "llm.retry", "warning", {"call": call.id, **failure.told()})
        for number, failure in enumerate(call.failures)
        if call.outcome in _NO_FAILURES or number < len(call.failures) - 1
    ]
    level = {"ok": "info", "left": "info"}.get(call.outcome, "error")
    return [*events, _event(call, call.ended_at, _TYPES[call.outcome], level, _ending(call))]


_NO_FAILURES: Final = frozenset({"ok", "left"})
"""Of the other outcomes the last try that failed is the reason, and not told apart."""
_TYPES: Final = {"ok": "llm.response", "left": "llm.cancelled", "cut": "llm.error", "failed": "llm.error"}


def _ending(call: Call) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "call": call.id,
        "model": call.question.asked.model,
        "provider": call.provider,
        "providerModel": call.target,
        "outcome": call.outcome,
        "usage": {**call.usage._asdict()},
        "costMicroDollars": call.cost,
        "ownKey": call.own_key,
        "firstMs": call.first_ms,
        "ms": call.ended_at - call.at,
        "tries": call.tries,
    }
    if call.from_cache:
        payload["fromCache"] = True
    if call.failures and call.outcome not in _NO_FAILURES:
        payload["error"] = call.failures[-1].told()
    if call.texts and call.wrote > CONTENT_MOST:
        payload["content"] = {"omittedBytes": call.wrote}
    elif call.content != "off" and (call.answer or call.texts):
        payload["content"] = _shown(call.answer or _encode("".join(call.texts)), call.content)
    return payload


def _content_of(question: Question, content: Content) -> dict[str, msgspec.Raw]:
    return {name: _shown(raw, content) for name, raw in question.fields.items() if name in _CONTENT}


def _shown(raw: bytes | msgspec.Raw, content: Content) -> msgspec.Raw:
    """JSON as it may be kept."""
    size = len(memoryview(raw))
    if size > CONTENT_MOST:
        return msgspec.Raw(_encode({"omittedBytes": size}))
    if content != "redacted":
        return msgspec.Raw(raw)
    try:
        return msgspec.Raw(redacted(bytes(raw)))
    except RecursionError:
        return msgspec.Raw(_encode({"omittedBytes": size}))


def redacted(json: bytes) -> bytes:
    """The same JSON without what looks personal or secret in any of its texts."""
    return _encode(_redacted(msgspec.json.decode(json)))


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        for pattern, stand_in in _REDACTED:
            value = pattern.sub(stand_in, value)
        return value
    if isinstance(value, list):
        return [_redacted(each) for each in cast("list[Any]", value)]  # type: ignore[redundant-cast]
    if isinstance(value, dict):
        return {_redacted(name): _redacted(each) for name, each in cast("dict[str, Any]", value).items()}
    return value


def _event(call: Call, at: int, kind: str, level: str, payload: dict[str, Any]) -> NewEvent:
    body = EventBody(at, kind, level, call.identity.subject, None, msgspec.Raw(_encode(payload)))
    return NewEvent(body.json())
