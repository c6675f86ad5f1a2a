"""A message of Anthropic's as a chat completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.ports.model import ModelLost, Whole
from agentops.plugins.models.anthropic._faults import ErrorBody, told
from agentops.plugins.models.anthropic._usage import Counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agentops.core.ports.model import Api

_FINISHED: Final = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class StopDetails(msgspec.Struct):
    explanation: str | None = None


class Message(msgspec.Struct):
    content: list[msgspec.Raw]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Counted | None = None


class Block(msgspec.Struct):
    type: str
    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


def message(fields: Mapping[str, msgspec.Raw], body: bytes, api: Api, secrets: Collection[str]) -> Message:
    """Raise what an answer is that is no message: an error that came as if all were well, or nothing to be read."""
    try:
        if "error" in fields:
            raise told(api, msgspec.json.decode(body, type=ErrorBody).error, secrets)
        return msgspec.json.decode(body, type=Message)
    except (msgspec.DecodeError, RecursionError):
        raise ModelLost("the provider's answer is no message") from None


def block_of(raw: msgspec.Raw) -> Block:
    try:
        return msgspec.json.decode(raw, type=Block)
    except (msgspec.DecodeError, RecursionError):
        raise ModelLost("the provider's answer holds what is no block of a message") from None


def as_chat_completion(found: Message, model: str, created: int) -> Whole:
    blocks = [block_of(raw) for raw in found.content]
    calls = [_call(block) for block in blocks if block.type == "tool_use"]
    text = "".join(block.text for block in blocks if block.type == "text")
    said: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else ""), "refusal": refusal(found)}
    if reasoning := "".join(block.thinking for block in blocks if block.type == "thinking"):
        said["reasoning_content"] = reasoning
    if kept := [raw for raw, block in zip(found.content, blocks, strict=True) if is_thought(block.type)]:
        said["thinking_blocks"] = kept
    if calls:
        said["tool_calls"] = calls
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish_reason(found.stop_reason)}
    completion: dict[str, Any] = {
        "id": found.id,
        "object": "chat.completion",
        "created": created,
        "model": found.model or model,
        "choices": [choice],
    }
    if found.usage is not None:
        completion["usage"] = found.usage.in_chat()
    return Whole(msgspec.json.encode(completion), None if found.usage is None else found.usage.usage())


def is_thought(kind: str) -> bool:
    """Whether a caller has to hand the block back with the results of tools, so that the model can go on thinking."""
    return kind in {"thinking", "redacted_thinking"}


def finish_reason(stop_reason: str | None) -> str:
    return _FINISHED.get(stop_reason or "", "stop")


def refusal(found: Message) -> str | None:
    return found.stop_details.explanation if found.stop_reason == "refusal" and found.stop_details else None


def _call(block: Block) -> dict[str, Any]:
    arguments = bytes(block.input).decode()
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}
