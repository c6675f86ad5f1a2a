"""A token taken apart, strictly: for each content there is one way to write it, and only that way is read."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from json import JSONDecoder
from typing import Any, Final, NamedTuple, cast

from agentops.plugins.auth.jwt._unfit import Unfit

JsonObject = dict[str, Any]


class Token(NamedTuple):
    """What a token says. Nothing of it is to be believed before its signature was checked."""

    header: JsonObject
    claims: JsonObject
    signed: bytes
    signature: bytes


def has_three_parts(text: str) -> bool:
    return text.count(".") == 2


def taken_apart(text: str) -> Token:
    """Read a text of three parts, or raise `Unfit`."""
    signed, _, signature = text.rpartition(".")
    header, _, claims = signed.partition(".")
    return Token(_object(header), _object(claims), signed.encode(), _decoded(signature))


def strict_json(text: bytes) -> Any:
    """Read JSON in UTF-8 without `NaN` and repeated names, or raise `ValueError`."""
    try:
        return _STRICT.decode(text.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(part: str) -> JsonObject:
    raw = _decoded(part)
    try:
        value = strict_json(raw)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unfit("a part is not a JSON object")
    return cast("JsonObject", value)


def _decoded(part: str) -> bytes:
    """Take only what encoding would give: no padding, no blanks, and no bits behind the last byte."""
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        canonical = urlsafe_b64encode(raw).rstrip(b"=") == part.encode()
    except ValueError:
        raw, canonical = b"", False
    if not canonical:
        raise Unfit("a part is not base64url")
    return raw


def _without_repeats(pairs: list[tuple[str, Any]]) -> JsonObject:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name is repeated")
    return made


def _refuse(_constant: str) -> Any:
    raise ValueError("not a number of JSON")


_STRICT: Final = JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_refuse)
