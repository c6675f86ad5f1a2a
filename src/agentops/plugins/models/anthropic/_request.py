"""A chat order as the body of a request to Anthropic's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.plugins.models.anthropic import _fields
from agentops.plugins.models.anthropic._conversation import conversation
from agentops.plugins.models.anthropic._faults import unsayable
from agentops.plugins.models.anthropic._parts import marked
from agentops.plugins.models.anthropic._reading import NULL, read
from agentops.plugins.models.anthropic._tools import tool_choice, tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.core.ports.model import Order
    from agentops.plugins.models.anthropic._conversation import Blocks, Turn

_MARKER: Final = msgspec.Raw(b'{"type":"ephemeral"}')


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


def shows_usage(order: Order) -> bool:
    """Whether the caller wants the chunk that has it."""
    options = read(order.fields.get("stream_options", NULL), _StreamOptions | None, "stream_options")
    return options is not None and bool(options.include_usage)


def chat_as_messages(order: Order, max_tokens: int, *, cache: bool) -> bytes:
    """Raise `ModelFault`, naming the field, for what cannot be said; with `cache`, mark what is worth keeping."""
    fields = order.fields
    if "messages" not in fields:
        raise unsayable("messages", "there is nothing to answer")
    body: dict[str, Any] = {"model": order.model, "max_tokens": _fields.most_tokens(fields, max_tokens)}
    if order.streamed:
        body["stream"] = True
    said = conversation(fields["messages"])
    known = tools(fields["tools"]) if "tools" in fields else []
    if cache and not any(b'"cache_control"' in bytes(raw) for raw in fields.values()):
        for kept in (said.system, known, _last_of_user(said.turns)):
            if kept:
                kept[-1] = marked(kept[-1], _MARKER)
    if said.system:
        body["system"] = said.system
    body["messages"] = [turn._asdict() for turn in said.turns]
    if known:
        body["tools"] = known
    return msgspec.json.encode({**_fields.passed_on(fields), **body, **_manner(fields, has_tools=bool(known))})


def _manner(fields: Mapping[str, msgspec.Raw], *, has_tools: bool) -> dict[str, Any]:
    """How the model is to answer."""
    found = {**_fields.sampling(fields), **_fields.metadata(fields)}
    parallel = read(fields.get("parallel_tool_calls", NULL), bool | None, "parallel_tool_calls")
    choice = tool_choice(fields.get("tool_choice", NULL), parallel=parallel is not False or not has_tools)
    if choice is not None:
        found["tool_choice"] = choice
    if config := _fields.output_config(fields):
        found["output_config"] = config
    if "thinking" not in fields:
        found |= _thinking(_fields.effort(fields), is_forced=choice is not None and choice["type"] in {"any", "tool"})
    return found


def _thinking(effort: str | None, *, is_forced: bool) -> dict[str, Any]:
    """A model that has to call a tool may not think before it does."""
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    return {} if effort is None or is_forced else {"thinking": {"type": "adaptive"}}


def _last_of_user(turns: list[Turn]) -> Blocks:
    for turn in reversed(turns):
        if turn.role == "user":
            return turn.content
    return []
