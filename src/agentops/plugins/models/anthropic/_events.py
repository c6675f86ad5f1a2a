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
    from agentops.core.ports.model import Api


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


class Event(msgspec.Struct):
    type: str
    index: int = 0
    message: Begun | None = None
    content_block: msgspec.Raw = NULL
    delta: Delta | None = None
    usage: Counted | None = None
    error: Error | None = None


_EVENTS: Final = msgspec.json.Decoder(Event)


class Progress:
    """Reads the events of one stream, and knows what they used and whether they are all."""

    def __init__(self, api: Api) -> None:
        self._api: Api = api
        self.counted: Counted | None = None
        self.stop_reason: str | None = None

    @property
    def is_whole(self) -> bool:
        """Nothing but the last word may follow on what was used and why it stopped."""
        return self.stop_reason is not None and self.counted is not None

    def read(self, data: str) -> Event:
        """Raise what an event says that is an error, or that it cannot be read."""
        try:
            event = _EVENTS.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise ModelLost("the provider's stream holds what is no event of a message") from None
        if not (event.type.isascii() and event.type.isidentifier()):
            raise ModelLost("the provider's stream holds an event whose type is no name")
        if event.type == "error":
            raise told(self._api, event.error or Error())
        counted = event.message.usage if event.message is not None else event.usage
        if counted is not None:
            self.counted = counted if self.counted is None else self.counted.then(counted)
        if event.delta is not None and event.delta.stop_reason is not None:
            self.stop_reason = event.delta.stop_reason
        return event
