"""Anthropic's words: messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from agentops.outgoing import as_object, as_objects
from agentops.testing.provider._saying import (
    Question,
    Reply,
    last_user_text,
    shortened,
    text_of,
    used,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentops.core.ports.model import Usage
    from agentops.testing.provider._saying import Fields

_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def error(status: int, kind: str, message: str) -> Fields:
    return {"type": "error", "error": {"type": kind or _KINDS.get(status, "api_error"), "message": message}}


def messages(question: Question) -> Reply:
    fields = question.fields
    asked = last_user_text(fields.get("messages"))
    text, cut = shortened(text_of(question, asked), fields.get("max_tokens"))
    tool = _tool_to_call(fields)
    if tool is None:
        block: Fields = {"type": "text", "text": text}
        empty: Fields = {"type": "text", "text": ""}
        deltas: list[Fields] = [{"type": "text_delta", "text": word} for word in words_of(text)]
        reason = "max_tokens" if cut else "end_turn"
    else:
        text = msgspec.json.encode({"said": asked}).decode()
        empty = {"type": "tool_use", "id": f"toolu_{question.number}", "name": tool, "input": {}}
        block = {**empty, "input": {"said": asked}}
        half = len(text) // 2
        deltas = [{"type": "input_json_delta", "partial_json": some} for some in ("", text[:half], text[half:])]
        reason = "tool_use"
    usage = _usage(used(question, text))
    whole: Fields = {
        "id": f"msg_{question.number}",
        "type": "message",
        "role": "assistant",
        "model": question.model,
        "content": [block],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }
    began: Fields = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    return Reply(whole, [(step["type"], step) for step in _steps(began, empty, deltas, reason, usage)])


def _steps(began: Fields, empty: Fields, deltas: list[Fields], reason: str, usage: Fields) -> Iterable[Fields]:
    yield {"type": "message_start", "message": began}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "ping"}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    stopped = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": stopped, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def _tool_to_call(fields: Fields) -> str | None:
    """The first one, unless there is an answer of it already or none is wanted."""
    tools, said = as_objects(fields.get("tools")), as_objects(fields.get("messages"))
    blocks = as_objects(said[-1].get("content")) if said else []
    is_answered = any(block.get("type") == "tool_result" for block in blocks)
    is_unwanted = as_object(fields.get("tool_choice")).get("type") == "none"
    return None if not tools or is_answered or is_unwanted else str(tools[0].get("name", "tool"))


def _usage(usage: Usage) -> Fields:
    """What was read here is only what the cache has nothing to do with."""
    return {
        "input_tokens": usage.input - usage.cached - usage.written,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }
