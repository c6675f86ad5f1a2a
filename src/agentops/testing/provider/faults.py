"""What can go wrong at a provider, one request at a time."""

from __future__ import annotations

from typing import Literal

import msgspec

Then = Literal["nothing", "hold", "cut", "error", "choice-error", "garbage", "broken-json"]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one request is answered; without any setting, as it should be.

    `Fault(status=429, retry_after=2)` refuses. `Fault(then="cut", after=3)` breaks the connection behind three pieces
    of a stream, and `Fault(then="cut")` behind the last one, before the stream says that it is done.
    """

    status: int = 0
    """Refuse with this status."""
    retry_after: float | None = None
    """Seconds that a refusal asks to be left alone for."""
    headers: dict[str, str] = {}
    """More headers of the answer."""
    kind: str = ""
    """The type of the error; one that fits the status if there is none."""
    message: str = "The provider is unwell."
    first_byte_seconds: float = 0.0
    """How long the answer takes to begin."""
    chunk_seconds: float = 0.0
    """How long each piece of a stream takes."""
    then: Then = "nothing"
    """What happens in the answer.

    `hold` waits until `release()`, or for ever. `cut` breaks the connection. `error` says an error as if it were a
    piece, or the answer; `choice-error` does so inside of a choice, as some providers do. `garbage` sends what is no
    event of a stream, and `broken-json` half of a JSON object.
    """
    after: int | None = None
    """Behind how many pieces of a stream it happens; behind all of them, before its end, if not said."""
    no_usage: bool = False
    """The answer does not say what it used."""
    no_done: bool = False
    """A stream ends without saying so."""
    raw: bytes | None = None
    """Send exactly this, head and all, and close the connection: for answers that no honest server gives."""
    raw_stays: bool = False
    """Leave the connection open behind `raw`."""


SOUND = Fault()
