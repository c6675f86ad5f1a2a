"""What an error says about another attempt; read from whatever a client library raises, without importing any."""

from __future__ import annotations

import math
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_LOST: Final = frozenset(
    {
        "httpx.TransportError",
        "httpcore.NetworkError",
        "httpcore.TimeoutException",
        "aiohttp.client_exceptions.ClientConnectionError",
        "aiohttp.client_exceptions.ClientPayloadError",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "openai.APIConnectionError",
        "anthropic.APIConnectionError",
    }
)
"""Connections and time-outs of libraries that derive them from no error of Python's own."""

_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]*)?")

_TOO_MANY: Final = 429
_FAULTY: Final = 500


class Fault(NamedTuple):
    """Why an attempt failed."""

    again: bool
    """Whether another attempt may succeed."""
    targets: bool
    """Whether it is the target's own fault: it is away, too slow or broken, and not merely unwilling."""
    throttled: bool
    wait: float | None
    """Seconds that the target asks to be left alone for."""
    reason: str


def fault_of(error: Exception, statuses: Collection[int], now: Callable[[], float] = time.time) -> Fault:
    """`statuses` are those that are worth another attempt, unless the answer itself says otherwise."""
    status = _status(error)
    if status is None:
        lost = isinstance(error, (ConnectionError, TimeoutError)) or not _LOST.isdisjoint(_names(error))
        return Fault(lost, lost, throttled=False, wait=None, reason=type(error).__name__)
    headers = _headers(error)
    said = headers.get("x-should-retry", "").strip().lower()
    again = {"true": True, "false": False}.get(said, status in statuses)
    return Fault(again, status >= _FAULTY, status == _TOO_MANY, _asked_wait(headers, now), str(status))


def _names(error: Exception) -> set[str]:
    kinds = type(error).__mro__
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in kinds} | {
        f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}" for kind in kinds
    }


def _status(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status"):
            status = getattr(holder, name, None)
            if isinstance(status, int):
                return status
    return None


def _headers(error: Exception) -> dict[str, str]:
    for holder in (error, getattr(error, "response", None)):
        headers = getattr(holder, "headers", None)
        if headers is not None:
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def _asked_wait(headers: dict[str, str], now: Callable[[], float]) -> float | None:
    """The more exact header first; what cannot be read was not said."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    if text is None or _NUMBER.fullmatch(text.strip()) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None
