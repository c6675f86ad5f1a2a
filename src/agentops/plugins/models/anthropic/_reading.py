"""Reads a field of a chat order strictly, and says which one is wrong."""

from __future__ import annotations

from typing import Any, Final, TypeVar, overload

import msgspec

from agentops.plugins.models.anthropic._faults import unsayable

T = TypeVar("T")

NULL: Final = msgspec.Raw(b"null")
"""What was not sent, or sent as nothing."""


@overload
def read(raw: msgspec.Raw, shape: type[T], param: str) -> T: ...
@overload
def read(raw: msgspec.Raw, shape: Any, param: str) -> Any: ...
def read(raw: msgspec.Raw, shape: Any, param: str) -> Any:
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise unsayable(param, f"it is not as OpenAI's API has it: {error}") from None
