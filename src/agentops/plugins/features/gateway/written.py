"""How much a model wrote in a whole answer, for a provider that does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.core.ports.model import Api

_ANSWERS: Final[Mapping[Api, str]] = {"chat": "choices", "responses": "output", "messages": "content"}
"""The field of an answer that holds what was written; embeddings have none."""
_TEXTS: Final = frozenset({"arguments", "content", "reasoning", "reasoning_content", "refusal", "text", "thinking"})
_OBJECTS: Final = frozenset({"input"})
"""What a tool is called with, where that is no text."""


def written_in(api: Api, body: bytes) -> int:
    """In bytes, and without the frame around it."""
    return _texts(msgspec.json.decode(body).get(_ANSWERS.get(api)))


def _texts(value: Any) -> int:
    if isinstance(value, list):
        return sum(_texts(each) for each in value)  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    if not isinstance(value, dict):
        return 0
    size = 0
    for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
        if isinstance(inner, str):
            size += len(inner.encode()) if name in _TEXTS else 0
        elif name in _OBJECTS:
            size += len(msgspec.json.encode(inner))
        else:
            size += _texts(inner)
    return size
