"""What a caller asks: its fields as they were sent, and of them the few that the gateway goes by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from agentops.core.errors import BadRequest
from agentops.core.http.bodies import decode_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentops.core.ports.model import Api

BYTES_A_TOKEN: Final = 4
"""Of text, on average; by this a call is counted whose provider does not."""
BYTES_A_TOKEN_LEAST: Final = 2
"""Of the densest text that is not made to be dense; by this a call is held for."""
IMAGE_TOKENS: Final = 2_000
"""More than providers count for one; its data are not text."""
LONGEST_NAME: Final = 200

PARAMETER_MOST: Final = 100
DATA_LEAST: Final = 1_000

_CONTENT: Final = frozenset({"messages", "input", "system", "tools", "instructions", "user", "metadata", "prompt"})
_DATA: Final = re.compile(rb'"(?:data:[^"]{0,100};base64,)?[A-Za-z0-9+/=]{1000,}"')
_Bound = Annotated[int, Meta(ge=1)]


class Asked(msgspec.Struct):
    """What every API has, under one of its names."""

    model: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
    stream: bool | None = None
    max_tokens: _Bound | None = None
    max_completion_tokens: _Bound | None = None
    max_output_tokens: _Bound | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: float | None = None

    @property
    def most_output(self) -> int | None:
        """The bound that the caller named, of all answers together."""
        bound = self.max_completion_tokens or self.max_tokens or self.max_output_tokens
        return None if bound is None else bound * (self.n or 1)


_asked: Final = msgspec.json.Decoder(Asked)
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OWN: Final = ("model", "stream", "_metadata")


class Question:
    """One request, read once; `fields` are views of its body."""

    __slots__ = ("_images", "_text", "api", "asked", "fields", "parameters")

    def __init__(self, api: Api, body: bytes) -> None:
        self.api: Api = api
        self.asked = decode_json(_asked, body)
        fields = _fields.decode(body)
        self.fields: Mapping[str, msgspec.Raw] = {name: raw for name, raw in fields.items() if name not in _OWN}
        self._text, self._images = _measured(body, self.fields.values())
        self.parameters = {name: raw for name, raw in self.fields.items() if _is_parameter(name, raw)}
        """What is not content: short and simple values, as an event shows them."""
        if self.streamed and api == "embeddings":
            raise BadRequest("embeddings are not streamed", param="stream")

    @property
    def streamed(self) -> bool:
        return bool(self.asked.stream)

    def tokens(self, bytes_a_token: int) -> int:
        """What the provider is going to read, reckoned from its length."""
        return -(-self._text // bytes_a_token) + self._images * IMAGE_TOKENS

    def let_go(self) -> None:
        """It has been sent, and is not sent again: its body need not be kept."""
        self.parameters = {name: msgspec.Raw(bytes(raw)) for name, raw in self.parameters.items()}
        self.fields = {}


def _measured(body: bytes, fields: Iterable[msgspec.Raw]) -> tuple[int, int]:
    """How much is text, and how many images there are, whose data are not."""
    text, images = len(body), 0
    for raw in fields:
        if len(memoryview(raw)) > DATA_LEAST:
            for match in _DATA.finditer(raw):
                text -= match.end() - match.start()
                images += 1
    return text, images


def _is_parameter(name: str, raw: msgspec.Raw) -> bool:
    return name not in _CONTENT and len(memoryview(raw)) <= PARAMETER_MOST
