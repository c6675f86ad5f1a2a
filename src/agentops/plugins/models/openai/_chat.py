"""Chat completions, and the embeddings beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.ports.model import ModelLost, Piece, Usage, Whole
from agentops.outgoing import as_object, as_objects, json_object, one_line
from agentops.plugins.models.openai._reading import fault_of, refuse_error, usage_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agentops.outgoing import Event

_WRITTEN: Final = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
_asked: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def asks_for_usage(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the caller wants the chunk that has it."""
    return bytes(_options(fields).get("include_usage", b"")) == b"true"


def with_usage_asked(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    options = msgspec.json.encode({**_options(fields), "include_usage": True})
    return {**fields, "stream_options": msgspec.Raw(options)}


def whole_chat(body: bytes, secrets: Collection[str]) -> Whole:
    fields, body = json_object(body)
    refuse_error(_value(fields, "error"), secrets)
    choices = as_objects(_value(fields, "choices"))
    if not choices:
        raise ModelLost("the provider's answer is one without choices")
    for choice in choices:
        _refuse_failed(choice, secrets)
    return Whole(body, _usage(_value(fields, "usage")))


def whole_embeddings(body: bytes, secrets: Collection[str]) -> Whole:
    fields, body = json_object(body)
    refuse_error(_value(fields, "error"), secrets)
    if not bytes(fields.get("data", b"")).startswith(b"["):
        raise ModelLost("the provider's answer is one without data")
    return Whole(body, _usage(_value(fields, "usage")))


class ChatReading:
    """A streamed completion; the chunk that only has the usage is hidden from a caller who did not ask for it."""

    def __init__(self, secrets: Collection[str], *, shows_usage: bool) -> None:
        self.is_over = False
        self._secrets = secrets
        self._shows_usage = shows_usage
        self._begun: set[object] = set()
        self._finished: set[object] = set()
        self._usage: Usage | None = None

    def take(self, event: Event) -> Iterator[Piece]:
        if event.data == "[DONE]":
            self._end()
            return
        chunk, line = one_line(event.data)
        refuse_error(chunk.get("error") or event.name == "error", self._secrets)
        text = "".join([self._text(choice) for choice in as_objects(chunk.get("choices"))])
        usage = _usage(chunk.get("usage"))
        self._usage = usage or self._usage
        is_hidden = usage is not None and not chunk.get("choices") and not self._shows_usage
        yield Piece(b"" if is_hidden else line, usage=usage, text=text)

    def is_whole(self, *, was_cut: bool) -> bool:
        all_finished = bool(self._begun) and self._begun <= self._finished
        return all_finished and not (was_cut and self._usage is None)

    def rest(self) -> tuple[Piece, ...]:
        return ()

    def _end(self) -> None:
        if not self._begun:
            raise ModelLost("the provider's answer is one without choices")
        self.is_over = True

    def _text(self, choice: Mapping[str, Any]) -> str:
        _refuse_failed(choice, self._secrets)
        index = choice.get("index")
        number = index if isinstance(index, int) else 0
        self._begun.add(number)
        if choice.get("finish_reason"):
            self._finished.add(number)
        return "".join(_written(as_object(choice.get("delta"))))


def _written(delta: Mapping[str, Any]) -> Iterator[str]:
    for name, said in delta.items():
        if name in _WRITTEN and isinstance(said, str):
            yield said
        elif name == "tool_calls":
            for call in as_objects(said):
                yield _arguments(call.get("function"))
        elif name == "function_call":
            yield _arguments(said)


def _arguments(function: object) -> str:
    arguments = as_object(function).get("arguments")
    return arguments if isinstance(arguments, str) else ""


def _refuse_failed(choice: Mapping[str, Any], secrets: Collection[str]) -> None:
    """Some providers end a choice with an error where the others have its text."""
    if choice.get("error") or choice.get("finish_reason") == "error":
        raise fault_of(choice.get("error"), secrets)


def _usage(said: object) -> Usage | None:
    return usage_of(said, "prompt_tokens", "completion_tokens")


def _value(fields: Mapping[str, msgspec.Raw], name: str) -> object:
    raw = fields.get(name)
    return None if raw is None else msgspec.json.decode(raw)


def _options(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """What is no object is for the provider to refuse, and for us not to know."""
    try:
        return _asked.decode(fields["stream_options"])
    except (KeyError, msgspec.DecodeError):
        return {}
