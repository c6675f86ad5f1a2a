"""OpenAI's words: chat completions, embeddings, models and responses."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from agentops.outgoing import as_object, as_objects
from agentops.testing.provider._saying import (
    CREATED,
    Question,
    Reply,
    last_user_text,
    named,
    shortened,
    text_of,
    used,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentops.core.ports.model import Usage
    from agentops.testing.provider._saying import Fields

DONE: Final = b"data: [DONE]\n\n"
DIMENSIONS: Final = 8

_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error(status: int, kind: str, message: str) -> Fields:
    kind = kind or _KINDS.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def choice_error(question: Question, message: str) -> Fields:
    """As OpenRouter says it: a choice that ended with an error."""
    choice = {"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": message}}
    return _chunk(question, [choice])


def models(names: Iterable[str]) -> Fields:
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "fake"} for name in names]
    return {"object": "list", "data": data}


def chat(question: Question) -> Reply:
    fields = question.fields
    count = fields.get("n") if isinstance(fields.get("n"), int) else 1
    said = [_choice(question, index) for index in range(max(1, int(count or 1)))]
    usage = _chat_usage(used(question, "".join(str(choice["text"]) for choice in said)))
    whole = {
        "id": f"chatcmpl-{question.number}",
        "object": "chat.completion",
        "created": CREATED,
        "model": question.model,
        "choices": [
            {name: choice[name] for name in ("index", "message", "logprobs", "finish_reason")} for choice in said
        ],
        "usage": usage,
    }
    events = [("", _chunk(question, [part])) for choice in said for part in _streamed(choice)]
    if as_object(fields.get("stream_options")).get("include_usage") is True:
        events = [(name, {**chunk, "usage": None}) for name, chunk in events]
        events.append(("", {**_chunk(question, []), "usage": usage}))
    return Reply(whole, events, DONE)


def embeddings(question: Question) -> Reply:
    fields = question.fields
    given: object = fields.get("input")
    several = cast("list[object]", given) if isinstance(given, list) else [given]
    inputs = [several] if all(isinstance(each, int) for each in several) else several
    size = fields.get("dimensions") if isinstance(fields.get("dimensions"), int) else DIMENSIONS
    as_text = fields.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _embedding(each, int(size or DIMENSIONS), as_text=as_text)}
        for index, each in enumerate(inputs)
    ]
    read = used(question, "").input
    usage = {"prompt_tokens": read, "total_tokens": read}
    return Reply({"object": "list", "data": data, "model": question.model, "usage": usage}, [])


def responses(question: Question) -> Reply:
    fields = question.fields
    asked = fields.get("input")
    text, cut = shortened(
        text_of(question, asked if isinstance(asked, str) else last_user_text(asked)), fields.get("max_output_tokens")
    )
    number = question.number
    part: Fields = {"type": "output_text", "text": text, "annotations": []}
    item: Fields = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    began: Fields = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": fields.get("instructions"),
        "metadata": fields.get("metadata") or {},
        "model": question.model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }
    ended: Fields = {
        **began,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [item],
        "usage": _responses_usage(used(question, text)),
    }
    place: Fields = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    steps: list[Fields] = [
        {"type": "response.created", "response": began},
        {"type": "response.in_progress", "response": began},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words_of(text)),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{ended['status']}", "response": ended},
    ]
    return Reply(ended, [(step["type"], {**step, "sequence_number": number}) for number, step in enumerate(steps)])


def _choice(question: Question, index: int) -> Fields:
    fields = question.fields
    tool = _tool_to_call(fields)
    if tool is not None:
        arguments = msgspec.json.encode({"said": last_user_text(fields.get("messages"))}).decode()
        call = {
            "id": f"call_{question.number}_{index}",
            "type": "function",
            "function": {"name": tool, "arguments": arguments},
        }
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
        return {"index": index, "message": message, "text": arguments, "finish_reason": "tool_calls", "logprobs": None}
    text = text_of(question, last_user_text(fields.get("messages")))
    if index:
        text = f"{text} ({index})"
    if str(as_object(fields.get("response_format")).get("type", "")).startswith("json"):
        text = msgspec.json.encode({"answer": text}).decode()
    text, cut = shortened(text, named(fields, "max_completion_tokens", "max_tokens"))
    return {
        "index": index,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "text": text,
        "finish_reason": "length" if cut else "stop",
        "logprobs": {"content": [_logprob(word) for word in words_of(text)]} if fields.get("logprobs") else None,
    }


def _streamed(choice: Fields) -> Iterable[Fields]:
    def part(delta: Fields, reason: object = None, logprobs: object = None) -> Fields:
        return {"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": reason}

    message: Fields = choice["message"]
    yield part({"role": "assistant", "content": "" if message["content"] is not None else None, "refusal": None})
    for call in as_objects(message.get("tool_calls")):
        text = str(call["function"]["arguments"])
        half = len(text) // 2
        yield part({"tool_calls": [{"index": 0, **call, "function": {**call["function"], "arguments": ""}}]})
        for some in (text[:half], text[half:]):
            yield part({"tool_calls": [{"index": 0, "function": {"arguments": some}}]})
    if message["content"] is not None:
        for word in words_of(message["content"]):
            yield part({"content": word}, logprobs={"content": [_logprob(word)]} if choice["logprobs"] else None)
    yield part({}, choice["finish_reason"])


def _chunk(question: Question, choices: list[Fields]) -> Fields:
    return {
        "id": f"chatcmpl-{question.number}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": question.model,
        "choices": choices,
    }


def _tool_to_call(fields: Fields) -> str | None:
    """The first one, unless there is an answer of it already or none is wanted."""
    tools, messages = as_objects(fields.get("tools")), as_objects(fields.get("messages"))
    is_answered = bool(messages) and messages[-1].get("role") == "tool"
    if not tools or is_answered or fields.get("tool_choice") == "none":
        return None
    function: Any = tools[0].get("function") or {}
    return str(function.get("name", "tool"))


def _logprob(word: str) -> Fields:
    return {"token": word, "logprob": -0.5, "bytes": list(word.encode()), "top_logprobs": []}


def _embedding(given: object, size: int, *, as_text: bool) -> str | list[float]:
    seed = hashlib.sha256(msgspec.json.encode(given)).digest()
    numbers = [seed[place % len(seed)] / 256 for place in range(size)]
    return base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode() if as_text else numbers


def _chat_usage(usage: Usage) -> Fields:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _responses_usage(usage: Usage) -> Fields:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }
