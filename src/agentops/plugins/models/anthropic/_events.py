"""The events of a streamed message, as far as they are looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from agentops.core.ports.model import ModelLost
from agentops.plugins.models.anthropic._answer import StopDetails
from agentops.plugins.models.anthropic._faults import Error, told
from agentops.plugins.models.anthropic._reading import NULL
from agentops.plugins.models.anthropic._usage import Counted

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentops.core.ports.model import Api, Usage
    from agentops.outgoing import Event


class Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_details: StopDetails | None = None

    @property
    def wrote(self) -> str:
        return self.text or self.partial_json or self.thinking


class Begun(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: Counted | None = None


class Said(msgspec.Struct):
    type: str
    index: int = 0
    message: Begun | None = None
    content_block: msgspec.Raw = NULL
    delta: Delta | None = None
    usage: Counted | None = None
    error: Error | None = None


_SAID: Final = msgspec.json.Decoder(Said)


class Progress:
    """Reads the events of one stream, and knows what they used and whether they are all."""

    def __init__(self, api: Api, secrets: Collection[str]) -> None:
        self.is_over = False
        self.counted: Counted | None = None
        self._api: Api = api
        self._secrets = secrets
        self._has_stopped = False

    @property
    def usage(self) -> Usage | None:
        return None if self.counted is None else self.counted.usage()

    def is_whole(self, *, was_cut: bool) -> bool:
        """Whether nothing but the last word is missing: why it stopped and what it used have come."""
        return self._has_stopped and self.counted is not None

    def read(self, event: Event) -> Said:
        """Raise what an event says that is an error, or that it cannot be read."""
        try:
            said = _SAID.decode(event.data)
        except (msgspec.DecodeError, RecursionError):
            raise ModelLost("the provider's stream holds what is no event of a message") from None
        if not (said.type.isascii() and said.type.isidentifier()):
            raise ModelLost("the provider's stream holds an event whose type is no name")
        if said.type == "error":
            raise told(self._api, said.error or Error(), self._secrets)
        counted = said.message.usage if said.message is not None else said.usage
        if counted is not None:
            self.counted = counted if self.counted is None else self.counted.then(counted)
        self._has_stopped = self._has_stopped or (said.delta is not None and said.delta.stop_reason is not None)
        self.is_over = said.type == "message_stop"
        if self.is_over and not self._has_stopped:
            raise ModelLost("the provider's stream ended before its message did")
        return said
