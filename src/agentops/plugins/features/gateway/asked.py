"""What a caller asks: its fields as they were sent, and of them the few that the gateway goes by."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import msgspec
from msgspec import Meta

from agentops.core.errors import BadRequest
from agentops.core.http.bodies import decode_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agentops.core.ports.model import Api

BYTES_A_TOKEN: Final = 4
"""Of text, on average; by this a call is counted whose provider does not."""
IMAGE_TOKENS: Final = 2_000
"""More than providers count for one; its data are not text."""
MORE_AT_WORST: Final = 1_000
"""Tokens that a provider may add of its own, at worst: rules, tools, the frame of a conversation."""
LONGEST_NAME: Final = 200

PARAMETERS_MOST: Final = 50
"""Of one call; a body may name as many as it has room for."""
DATA_LEAST: Final = 1_000

_NAME: Final = re.compile(r"[a-z0-9_]{1,40}")
_SIMPLE: Final = re.compile(rb'[-+.0-9eE]{1,100}|true|false|null|"[A-Za-z0-9_.:-]{0,40}"')
_CONTENT: Final = frozenset({"messages", "input", "system", "tools", "instructions", "user", "metadata", "prompt"})
_HOLD_DATA: Final = frozenset({"b64_json", "data", "file_data", "image_url", "url"})
"""Elsewhere the same letters are text, of which providers count each: a caller could hide as much of it as there is."""
_FRAME: Final = frozenset({"content", "image_url", "role", "source", "text", "type", "url"})
"""Names that stand around content everywhere, and count as part of an object; any other is read, as a schema's are."""
_DATA: Final = re.compile(r"(?:data:[^,]{0,100};base64,)?[A-Za-z0-9+/=_-]+")
_Bound = Annotated[int, Meta(ge=1, le=10**9)]


class Asked(msgspec.Struct):
    """What every API has, under one of its names."""

    model: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
    stream: bool | None = None
    max_tokens: _Bound | None = None
    max_completion_tokens: _Bound | None = None
    max_output_tokens: _Bound | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: float | None = None

    def most_output(self, api: Api) -> int | None:
        """The bound that the caller named, of all answers together.

        Only in the words of this API, for a provider passes over the others; of two, whichever is larger may stand.
        """
        bounds = [bound for name in _BOUNDS.get(api, ()) if (bound := getattr(self, name)) is not None]
        return max(bounds) * (self.n or 1) if bounds else None


_BOUNDS: Final[Mapping[str, tuple[str, ...]]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}
_asked: Final = msgspec.json.Decoder(Asked)
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OWN: Final = ("model", "stream", "_metadata")


class Question:
    """One request, read once; `fields` are views of its body."""

    __slots__ = ("api", "asked", "fields", "parameters", "read_at_worst", "read_likely")

    def __init__(self, api: Api, body: bytes) -> None:
        self.api: Api = api
        self.asked = decode_json(_asked, body)
        fields = _fields.decode(body)
        self.fields = {name: raw for name, raw in fields.items() if name not in _OWN}
        self.parameters = _parameters(self.fields)
        """What is not content: short and simple values, as an event shows them."""
        weight = _weighed(self.fields, self.parameters)
        self.read_likely = weight.in_tokens(BYTES_A_TOKEN)
        """Tokens that the provider reads, as it most likely counts them."""
        self.read_at_worst = weight.in_tokens(1) + MORE_AT_WORST
        """As it counts the densest text there is, one byte a token, and adds what it likes."""
        if self.streamed and api == "embeddings":
            raise BadRequest("embeddings are not streamed", param="stream")

    @property
    def most_output(self) -> int | None:
        return self.asked.most_output(self.api)

    @property
    def streamed(self) -> bool:
        return bool(self.asked.stream)

    def let_go(self) -> None:
        """It has been sent, and is not sent again: its body need not be kept, by the order either, which has these."""
        self.parameters = {name: msgspec.Raw(bytes(raw)) for name, raw in self.parameters.items()}
        self.fields.clear()


class _Weight:
    """How much there is to read in some JSON: bytes of texts and names, images, whose data are no text, and ids."""

    __slots__ = ("images", "size", "tokens")

    def __init__(self, fields: Mapping[str, msgspec.Raw], unread: Collection[str]) -> None:
        self.size = self.images = self.tokens = 0
        for name, raw in fields.items():
            if name not in unread:
                self._add(msgspec.json.decode(raw))

    def in_tokens(self, bytes_a_token: int) -> int:
        return -(-self.size // bytes_a_token) + self.images * IMAGE_TOKENS + self.tokens

    def _add(self, value: Any, name: str = "") -> None:
        if isinstance(value, str):
            if len(value) > DATA_LEAST and name in _HOLD_DATA and _DATA.fullmatch(value):
                self.images += 1
            else:
                self.size += _bytes_of(value)
        elif isinstance(value, dict):
            self.tokens += 1
            part = cast("dict[str, Any]", value)
            is_text = part.get("type") == "text"
            for inner_name, inner in part.items():
                if inner_name not in _FRAME:
                    self.size += _bytes_of(inner_name)
                self._add(inner, "" if is_text else inner_name)
        elif isinstance(value, list):
            for inner in value:  # pyright: ignore[reportUnknownVariableType]
                self._add(inner)
        elif value is not None:
            self.tokens += 1


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _weighed(fields: Mapping[str, msgspec.Raw], unread: Collection[str]) -> _Weight:
    try:
        return _Weight(fields, unread)
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply", code="invalid_json") from None


def _parameters(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Of words and numbers alone: whatever else a caller names, its words might be somebody's."""
    found = ((name, raw) for name, raw in fields.items() if name not in _CONTENT and _NAME.fullmatch(name))
    return dict(islice(((name, raw) for name, raw in found if _SIMPLE.fullmatch(memoryview(raw))), PARAMETERS_MOST))
