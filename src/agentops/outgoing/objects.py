"""JSON objects of a provider: looked at before they are handed on as they came."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from agentops.core.ports.model import ModelLost

OURS: Final = "_metadata"
"""What this server says of an answer; a provider says nothing in its name."""

_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def as_object(value: object) -> dict[str, Any]:
    """What a provider said, if it is an object; else one that says nothing."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_objects(values: object) -> list[dict[str, Any]]:
    """The objects in what a provider said, if it is a list."""
    return [as_object(value) for value in cast("list[object]", values)] if isinstance(values, list) else []


def one_line(data: str) -> tuple[dict[str, Any], bytes]:
    """Return the object that is in an event, and its JSON on one line."""
    try:
        decoded: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ModelLost("the provider's stream has an event that is not JSON") from None
    if not isinstance(decoded, dict):
        raise ModelLost("the provider's stream has an event that is no JSON object")
    line = data.encode()
    if OURS in decoded:
        line = _without_ours(_fields.decode(line))
    if b"\n" in line:
        line = msgspec.json.format(line, indent=-1)
    return cast("dict[str, Any]", decoded), line


def json_object(body: bytes) -> tuple[dict[str, msgspec.Raw], bytes]:
    """Return the fields of an answer that is one JSON object, and its JSON."""
    try:
        body.decode()  # what is passed over is not looked at as text by the decoder
        fields = _fields.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ModelLost("the provider's answer is no JSON object") from None
    return fields, _without_ours(fields) if OURS in fields else body


def _without_ours(fields: dict[str, msgspec.Raw]) -> bytes:
    return msgspec.json.encode({name: value for name, value in fields.items() if name != OURS})
