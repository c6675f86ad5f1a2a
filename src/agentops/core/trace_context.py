"""W3C Trace Context, as a caller sends it: https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

STATE_MOST: Final = 512
"""Letters of a `tracestate` that are handed on; a longer one is left out, as the standard allows."""
SAMPLED: Final = 1

_PARENT: Final = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})(?P<more>-[ -~]{0,200})?"
)
_MEMBER: Final = rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[ !-+\--<>-~]{0,255}[!-+\--<>-~]"
_STATE: Final = re.compile(rb"%b(?:[ \t]*,[ \t]*%b){0,31}" % (_MEMBER, _MEMBER))


class Caller(NamedTuple):
    """The span of whoever calls this server."""

    trace_id: int
    span_id: int
    is_sampled: bool
    state: str


def caller_of(headers: Sequence[tuple[bytes, bytes]]) -> Caller | None:
    """What the headers of a request say, or nothing if that is not exactly what the standard lets them say."""
    parents: list[bytes] = []
    states: list[bytes] = []
    for name, value in headers:
        if name == b"traceparent":
            parents.append(value)
        elif name == b"tracestate":
            states.append(value)
    if len(parents) != 1:
        return None
    match = _PARENT.fullmatch(parents[0])
    if match is None or (match["version"] == b"00" and match["more"] is not None):
        return None
    is_sampled = bool(int(match["flags"], 16) & SAMPLED)
    return Caller(int(match["trace"], 16), int(match["span"], 16), is_sampled, _state(b",".join(states)))


def headers_for(trace_id: int, span_id: int, state: str, *, is_sampled: bool) -> dict[str, str]:
    """What whoever is called from here should be sent."""
    sent = {"traceparent": f"00-{trace_id:032x}-{span_id:016x}-{SAMPLED if is_sampled else 0:02x}"}
    return sent | {"tracestate": state} if state else sent


def _state(sent: bytes) -> str:
    return sent.decode("ascii") if len(sent) <= STATE_MOST and _STATE.fullmatch(sent) else ""
