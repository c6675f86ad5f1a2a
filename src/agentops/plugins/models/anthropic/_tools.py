"""The tools that the model may use, and whether it has to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.plugins.models.anthropic._faults import unsayable
from agentops.plugins.models.anthropic._parts import marked
from agentops.plugins.models.anthropic._reading import NULL, read

if TYPE_CHECKING:
    from agentops.plugins.models.anthropic._parts import Block

_NOTHING: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}
_OWN_CHOICES: Final = frozenset({"auto", "any", "none", "tool"})


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = NULL
    strict: bool | None = None
    cache_control: msgspec.Raw = NULL


class _Tool(msgspec.Struct):
    type: str = ""
    function: _Function | None = None
    input_schema: msgspec.Raw = NULL
    cache_control: msgspec.Raw = NULL


class _Named(msgspec.Struct):
    name: str


class _Choice(msgspec.Struct):
    type: str
    function: _Named | None = None


def tools(raw: msgspec.Raw) -> list[Block | msgspec.Raw]:
    """Tools that the provider brings itself are named in its own words, and sent as they came."""
    each: list[msgspec.Raw] = read(raw, list[msgspec.Raw] | None, "tools") or []
    return [_tool(tool, f"tools[{index}]") for index, tool in enumerate(each)]


def tool_choice(raw: msgspec.Raw, *, parallel: bool) -> Block | None:
    """What the model is to choose; it calls several tools at once unless it is told not to."""
    choice = _choice(raw)
    if parallel or (choice is not None and choice["type"] == "none"):
        return choice
    return {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}


def _tool(raw: msgspec.Raw, param: str) -> Block | msgspec.Raw:
    tool = read(raw, _Tool, param)
    if tool.type == "function" and tool.function is not None:
        return _described(tool.function, tool.cache_control)
    if tool.type in {"", "function"} or (tool.type == "custom" and tool.input_schema == NULL):
        raise unsayable(param, "only tools of the type function can be used, with what they are called")
    return raw


def _described(function: _Function, marker: msgspec.Raw) -> Block:
    schema = _NOTHING if bytes(function.parameters) in {b"null", b"{}"} else function.parameters
    block: Block = {"name": function.name, "input_schema": schema}
    if function.description:
        block["description"] = function.description
    if function.strict:
        block["strict"] = True
    if (said := function.cache_control if marker == NULL else marker) != NULL:
        return marked(block, said)
    return block


def _choice(raw: msgspec.Raw) -> Block | None:
    found: str | dict[str, Any] | None = read(raw, str | dict[str, Any] | None, "tool_choice")
    if found is None:
        return None
    if isinstance(found, str):
        if found not in _CHOICES:
            raise unsayable("tool_choice", f"there is no {found!r}; write auto, none, required or a function")
        return {"type": _CHOICES[found]}
    choice = read(raw, _Choice, "tool_choice")
    if choice.type == "function" and choice.function is not None:
        return {"type": "tool", "name": choice.function.name}
    if choice.type in _OWN_CHOICES:
        return found
    raise unsayable("tool_choice", f"a choice of the type {choice.type!r} cannot be made; name one function")
