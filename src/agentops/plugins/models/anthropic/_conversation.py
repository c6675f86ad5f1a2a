"""A chat's messages as Anthropic has them: the rules apart, and turns of the user and the assistant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from agentops.plugins.models.anthropic._faults import unsayable
from agentops.plugins.models.anthropic._parts import Block, Content, blocks, marked
from agentops.plugins.models.anthropic._reading import NULL, read

if TYPE_CHECKING:
    from collections.abc import Iterator

Blocks: TypeAlias = list[Block | msgspec.Raw]

_RULES: Final = frozenset({"system", "developer"})
_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")


class _Function(msgspec.Struct):
    name: str
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    id: str
    function: _Function | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[msgspec.Raw] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str = ""
    thinking_blocks: list[msgspec.Raw] | None = None
    cache_control: msgspec.Raw = NULL


class Turn(NamedTuple):
    role: str
    content: Blocks


class Conversation(NamedTuple):
    system: Blocks
    turns: list[Turn]


def conversation(raw: msgspec.Raw) -> Conversation:
    """What one speaker says in a row is one turn: results of tools have to stand together, behind their calls."""
    system: Blocks = []
    turns: list[Turn] = []
    for index, message in enumerate(read(raw, list[_Message], "messages")):
        role = _speaker(message.role, index)
        said = _said(message, f"messages[{index}]")
        if message.cache_control != NULL and said:
            said[-1] = marked(said[-1], message.cache_control)
        if role == "system":
            system += said
        elif turns and turns[-1].role == role:
            turns[-1].content.extend(said)
        elif said:
            turns.append(Turn(role, said))
    return Conversation(system, turns)


def _speaker(role: str, index: int) -> str:
    if role in _RULES:
        return "system"
    if role in {"user", "tool"}:
        return "user"
    if role == "assistant":
        return role
    raise unsayable(f"messages[{index}].role", f"there is no {role!r} here; write system, user, assistant or tool")


def _said(message: _Message, param: str) -> Blocks:
    if message.role == "tool":
        return [_result(message, param)]
    if message.role != "assistant":
        return blocks(message.content, f"{param}.content")
    text: Content = message.content or message.refusal
    return [
        *(message.thinking_blocks or ()),
        *blocks(text, f"{param}.content"),
        *_tool_uses(message.tool_calls or [], f"{param}.tool_calls"),
    ]


def _result(message: _Message, param: str) -> Block:
    if not message.tool_call_id:
        raise unsayable(f"{param}.tool_call_id", "it says which call of a tool this answers, and is missing")
    content = message.content if isinstance(message.content, str) else blocks(message.content, f"{param}.content")
    return {"type": "tool_result", "tool_use_id": _fit(message.tool_call_id), "content": content}


def _tool_uses(calls: list[_ToolCall], param: str) -> Iterator[Block]:
    for index, call in enumerate(calls):
        if call.function is None:
            raise unsayable(f"{param}[{index}]", "only functions can be called")
        arguments = call.function.arguments.strip() or "{}"
        yield {
            "type": "tool_use",
            "id": _fit(call.id),
            "name": call.function.name,
            "input": _object(arguments, f"{param}[{index}].function.arguments"),
        }


def _object(text: str, param: str) -> msgspec.Raw:
    """As it was written: numbers keep their digits."""
    raw = msgspec.Raw(text.encode("utf-8", "surrogatepass"))
    read(raw, dict[str, Any], param)
    return raw


def _fit(call_id: str) -> str:
    """Ids of other providers may hold what Anthropic refuses in one."""
    return _NOT_IN_IDS.sub("_", call_id)
