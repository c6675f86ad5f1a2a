"""Model: a provider of models, asked in one of the ways that applications speak."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from typing import ClassVar, Final, Literal, NamedTuple

import msgspec

from agentops.core.plugin import Kind, Plugin, S
from agentops.core.secret import Secret

Api = Literal["chat", "embeddings", "responses", "messages"]
"""OpenAI's chat completions, embeddings and responses, and Anthropic's messages."""


class Usage(NamedTuple):
    """What a call used, in tokens: `input` is all that was read, of which `cached` came from the provider's cache.

    `written` of them were put into it. `estimated` says that the provider did not count.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    estimated: bool = False


class Order(NamedTuple):
    """What is asked: the caller's JSON object, field by field as it was sent, but for the model and what is `streamed`.

    `model` is the provider's own name for it. A `key` is the caller's own and stands in for the provider's.
    `headers` are those of the caller that belong to the API, such as `anthropic-beta`; no credential is among them.
    A call that names no bound of what is written is held for `most_output` tokens; a provider that wants one is told.
    The fields of a stream that has begun may be emptied: many are under way at once, and each may be long.
    """

    api: Api
    model: str
    fields: Mapping[str, msgspec.Raw]
    streamed: bool = False
    key: Secret | None = None
    headers: Mapping[str, str] = {}
    most_output: int | None = None


class Whole(NamedTuple):
    """An answer at once: one JSON object in the words of the order's API."""

    body: bytes
    usage: Usage | None = None


class Piece(NamedTuple):
    """Some of a streamed answer: JSON on one line, in the words of the order's API, and the name of its event if any.

    `usage` is what is known of it by now. `text` is what the model wrote with it. Without `data` there is nothing to
    hand on.
    """

    data: bytes = b""
    event: str = ""
    usage: Usage | None = None
    text: str = ""


WAIT_HEADERS: Final = ("retry-after", "retry-after-ms", "x-should-retry")
"""What a provider says of when to come back, and all that is handed on of its headers."""


class ModelFault(Exception):
    """The provider said no: `status` and `body`, the JSON object that came with it, are in the words of its API.

    `headers` say when to come back; the message is what may be told to the caller.
    """

    def __init__(
        self, message: str, status: int | None = None, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.headers = dict(headers or {})
        self.body = body


class ModelLost(ModelFault, ConnectionError):
    """The provider did not answer: nobody there, too slow, cut off, or not to be understood."""


class Model(Plugin[S]):
    """Asks one provider. It tries once: the deployment's retry, and other providers, are whoever asks it to see to."""

    kind: ClassVar[Kind] = "model"
    speaks: frozenset[Api] = frozenset({"chat"})
    """The APIs in which it can be asked; known from its class or from its settings, before it starts."""
    takes_keys: bool = True
    """Whether it checks the key of an order: whoever brings one that nobody checks would not be charged."""

    @abstractmethod
    async def answer(self, order: Order) -> Whole:
        """Raise `ModelFault`, or `ModelLost`, for anything but a whole answer."""

    @abstractmethod
    def stream(self, order: Order) -> AsyncGenerator[Piece]:
        """Hand on what comes as it comes, and return when the answer is whole; `ModelLost` if it ends before.

        Closing it ends the call at the provider at once.
        """
