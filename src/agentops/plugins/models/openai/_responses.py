"""The responses API: its events have names, and the last of them has the usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.ports.model import ModelLost, Piece, Usage, Whole
from agentops.outgoing import as_object, json_object, one_line
from agentops.plugins.models.openai._reading import fault_of, refuse_error, usage_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agentops.outgoing import Event

_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_FAILED: Final = "failed"


def whole_response(body: bytes, secrets: Collection[str]) -> Whole:
    fields, body = json_object(body)
    said: Mapping[str, Any] = {
        name: msgspec.json.decode(fields[name]) for name in ("error", "status", "usage") if name in fields
    }
    refuse_error(said.get("error") or said.get("status") == _FAILED, secrets)
    if not bytes(fields.get("output", b"")).startswith(b"["):
        raise ModelLost("the provider's answer is one without output")
    return Whole(body, _usage(said.get("usage")))


class ResponsesReading:
    def __init__(self, secrets: Collection[str]) -> None:
        self.is_over = False
        self._secrets = secrets

    def take(self, event: Event) -> Iterator[Piece]:
        if event.data == "[DONE]":
            raise ModelLost("the provider's stream ended before its response did")
        said, line = one_line(event.data)
        kind = said.get("type")
        name = kind if isinstance(kind, str) and kind.isascii() and kind.isprintable() else ""
        if name == "error" or "error" in said:
            raise fault_of(as_object(said.get("error")) or said, self._secrets)
        self.is_over = name in _LAST
        response = as_object(said.get("response"))
        usage = _usage(response.get("usage"))
        if name == "response.failed":
            yield Piece(usage=usage)
            raise fault_of(response.get("error"), self._secrets)
        yield Piece(line, name, usage, _text(name, said.get("delta")))

    def is_whole(self, *, was_cut: bool) -> bool:
        return False

    def rest(self) -> tuple[Piece, ...]:
        return ()


def _text(name: str, delta: object) -> str:
    return delta if isinstance(delta, str) and name.endswith(".delta") and "audio" not in name else ""


def _usage(said: object) -> Usage | None:
    return usage_of(said, "input_tokens", "output_tokens")
