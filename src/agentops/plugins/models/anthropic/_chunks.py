"""The events of a streamed message as chunks of a chat completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentops.core.ports.model import Piece
from agentops.plugins.models.anthropic._answer import block_of, finish_reason, is_thought
from agentops.plugins.models.anthropic._events import Progress
from agentops.plugins.models.anthropic._reading import NULL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from agentops.outgoing import Event
    from agentops.plugins.models.anthropic._events import Delta, Said


class Chunks(Progress):
    """One event may say as much as several chunks, or nothing."""

    def __init__(self, model: str, created: int, secrets: Collection[str], *, shows_usage: bool) -> None:
        super().__init__("chat", secrets)
        self._shows_usage = shows_usage
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": created, "model": model}
        self._thought: dict[str, Any] = {}
        self._thinking: list[str] = []
        self._call = -1
        self._awaits_arguments = False

    def take(self, event: Event) -> Iterator[Piece]:
        said = self.read(event)
        match said.type:
            case "message_start":
                yield self._begin(said)
            case "content_block_start" if said.content_block != NULL:
                yield from self._open(said.content_block)
            case "content_block_delta" if said.delta is not None:
                yield from self._go_on(said.delta)
            case "content_block_stop":
                yield from self._close()
            case "message_delta" if said.delta is not None and said.delta.stop_reason is not None:
                yield self._piece(_said_no(said.delta), finish=finish_reason(said.delta.stop_reason))
            case _:
                pass

    def rest(self) -> Iterator[Piece]:
        """What was used: it is known only when nothing more can come."""
        if self.counted is not None:
            told = msgspec.json.encode({**self._head, "choices": [], "usage": self.counted.in_chat()})
            yield Piece(told if self._shows_usage else b"", usage=self.usage)

    def _begin(self, said: Said) -> Piece:
        if said.message is not None:
            self._head["id"] = said.message.id
            self._head["model"] = said.message.model or self._head["model"]
        return self._piece({"role": "assistant", "content": ""})._replace(usage=self.usage)

    def _open(self, raw: msgspec.Raw) -> Iterator[Piece]:
        block = block_of(raw)
        if is_thought(block.type):
            self._thought = msgspec.json.decode(raw, type=dict[str, Any])
            self._thinking = [block.thinking]
        elif block.type == "tool_use":
            self._call += 1
            self._awaits_arguments = True
            function = {"name": block.name, "arguments": ""}
            yield self._called({"id": block.id, "type": "function", "function": function})
            if len(bytes(block.input)) > len("{}"):
                yield self._arguments(bytes(block.input).decode())
        elif block.text:
            yield self._piece({"content": block.text}, block.text)

    def _go_on(self, delta: Delta) -> Iterator[Piece]:
        match delta.type:
            case "text_delta":
                yield self._piece({"content": delta.text}, delta.text)
            case "thinking_delta":
                self._thinking.append(delta.thinking)
                yield self._piece({"reasoning_content": delta.thinking}, delta.thinking)
            case "signature_delta":
                self._thought["signature"] = delta.signature
            case "input_json_delta" if delta.partial_json:
                yield self._arguments(delta.partial_json)
            case _:
                pass

    def _close(self) -> Iterator[Piece]:
        """A call without arguments has none in a stream either; a client that reads JSON wants an object."""
        if self._awaits_arguments:
            yield self._arguments("{}")
        if self._thought:
            thinking = {"thinking": "".join(self._thinking)} if self._thought["type"] == "thinking" else {}
            yield self._piece({"thinking_blocks": [{**self._thought, **thinking}]})
            self._thought = {}

    def _arguments(self, text: str) -> Piece:
        self._awaits_arguments = False
        return self._called({"function": {"arguments": text}}, text)

    def _called(self, call: dict[str, Any], text: str = "") -> Piece:
        return self._piece({"tool_calls": [{"index": self._call, **call}]}, text)

    def _piece(self, delta: dict[str, Any], text: str = "", finish: str | None = None) -> Piece:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Piece(msgspec.json.encode({**self._head, "choices": [choice]}), text=text)


def _said_no(delta: Delta) -> dict[str, Any]:
    details = delta.stop_details
    return {"refusal": details.explanation} if details is not None and details.explanation else {}
