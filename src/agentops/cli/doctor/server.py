"""What a running server is asked, over HTTP: whether it answers, is of this version, and is well."""

from __future__ import annotations

import http.client
import time
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from agentops._version import __version__
from agentops.cli.doctor.asking import SECONDS, Answer, asked_in_turn
from agentops.cli.doctor.waiting import aside
from agentops.cli.reaching import connection_to, reason
from agentops.core.errors import Unavailable
from agentops.core.health import HealthReport
from agentops.core.ports.diagnosis import Finding, Question, fine
from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentops.core.ports.diagnosis import Weight

BODY_MOST: Final = 8 * 1024 * 1024
SLOW_SECONDS: Final = 1.0
CLOCKS_APART_SECONDS: Final = 5.0
FAILING_SHARE: Final = 0.01


class Reply(NamedTuple):
    status: int
    date: str | None
    body: bytes
    seconds: float


class Place(NamedTuple):
    """Where a server is, the lane that serves `operations` if one does, and what to show there to read its figures."""

    url: str
    tells_version: bool = False
    lane: str | None = None
    credentials: Mapping[str, str] | None = None
    """Nothing means that there is nothing to show and figures are not asked for."""

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return await aside(partial(_get, self.url, path, headers or {}))


class _Info(msgspec.Struct):
    version: str


class _Document(msgspec.Struct):
    """Of an OpenAPI document, what is looked at."""

    info: _Info


class _Said(msgspec.Struct):
    """What a probe answers."""

    status: str = ""


class _Figures(msgspec.Struct):
    """Of `/performance`, what is looked at."""

    method: str
    route: str
    count: int
    errors: int


async def ask_server(place: Place) -> list[Answer]:
    """Of one that is not there, or is another program, nothing more is asked."""
    first = await asked_in_turn("server", [Question("whether it answers", partial(answers, place))])
    there = all(finding.weight in {"fine", "risk"} for answer in first for finding in answer.findings)
    return first + (await asked_in_turn("server", _questions(place)) if there else [])


def _questions(place: Place) -> Iterator[Question]:
    yield Question("clock", partial(clock, place))
    if place.tells_version:
        yield Question("version", partial(version, place))
    if place.lane is not None:
        yield Question("ready", partial(ready, place, place.lane))
        yield Question("health", partial(health, place, place.lane))
        if place.credentials is None:
            yield Question("failing routes", unasked)
        else:
            yield Question("failing routes", partial(failing_routes, place, place.lane, place.credentials))


async def unasked() -> Iterable[Finding]:
    return [fine("failing routes were not asked about, without a --key")]


async def answers(place: Place) -> Iterable[Finding]:
    try:
        reply = await place.get("/healthz")
    except Unavailable as gone:
        remedy = "start it (agentops serve), or say where it is with --url"
        return [_found("unanswered", gone.message, "nothing can be said of a server that does not run", remedy)]
    if reply.status != http.client.OK or _status(reply.body) != "ok":
        what = f"what answers at {place.url} is no agentops server (/healthz: {reply.status})"
        return [_found("failing", what, "another program has its port, or the address is wrong", "give it with --url")]
    if reply.seconds > SLOW_SECONDS:
        what, why = f"it answered after {reply.seconds:.1f} s", "it is overloaded, or something blocks it"
        return [_found("risk", what, why, "look at its log for what takes long, and at the load of the machine")]
    return [fine(f"answers in {reply.seconds * 1000:.0f} ms")]


async def clock(place: Place) -> Iterable[Finding]:
    """The header has whole seconds; an answer without it tells no time."""
    reply = await place.get("/healthz")
    try:
        theirs = parsedate_to_datetime(reply.date or "").timestamp() + 0.5
    except ValueError:
        return []
    apart = theirs - (time.time() - reply.seconds / 2)
    if abs(apart) < CLOCKS_APART_SECONDS:
        return []
    what = f"the server's clock is {abs(apart):,.0f} s {'ahead of' if apart > 0 else 'behind'} this machine's"
    why = "tokens and keys end too early or too late, for one of the two is wrong"
    return [_found("risk", what, why, "let both machines set their clocks by NTP")]


async def version(place: Place) -> Iterable[Finding]:
    reply = await place.get("/schema/openapi.json")
    try:
        theirs = msgspec.json.decode(reply.body, type=_Document).info.version
    except msgspec.MsgspecError:
        raise Unavailable(f"/schema/openapi.json answers {reply.status} and no version") from None
    if theirs == __version__:
        return [fine(f"version {theirs}")]
    what = f"it is version {theirs!r}, and this command is {__version__!r}"
    why = "what this page says may not hold for it, and its database may be of another schema"
    return [_found("risk", what, why, "restart the server if it was updated, or run the command that came with it")]


async def ready(place: Place, lane: str) -> Iterable[Finding]:
    for path in ("/live", "/ready"):
        reply = await place.get(f"{lane}{path}")
        if reply.status == http.client.NOT_FOUND:
            what = f"this server has no {lane}{path}"
            why = "it serves another configuration than the one that was read here"
            return [_found("failing", what, why, "say which server with --url, or which file with --config")]
        if reply.status != http.client.OK:
            what = f"{lane}{path} answers {reply.status} {_status(reply.body)}".rstrip()
            why = "whatever routes requests sends it none, or restarts it"
            return [_found("failing", what, why, "look at its parts, of which this page tells too")]
    return [fine("ready")]


async def health(place: Place, lane: str) -> Iterable[Finding]:
    """Each part that is not healthy, by the name under which it is configured."""
    reply = await place.get(f"{lane}/health")
    try:
        report = msgspec.json.decode(reply.body, type=HealthReport)
    except msgspec.MsgspecError:
        raise Unavailable(f"{lane}/health answers {reply.status} and no report") from None
    ill = {name: part for name, part in report.components.items() if part.status != "healthy"}
    return [
        _found(
            "failing" if part.status == "unhealthy" else "risk",
            f"{name} is {part.status}{_details(part.details)}",
            "without it the server does not work" if part.critical else "what needs it does not work",
            "see what is said of it here, and in the server's log",
        )
        for name, part in ill.items()
    ] or [fine(f"healthy: {', '.join(sorted(report.components))}")]


async def failing_routes(place: Place, lane: str, credentials: Mapping[str, str]) -> Iterable[Finding]:
    reply = await place.get(f"{lane}/performance", credentials)
    if reply.status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
        what, why = f"the key was refused ({reply.status})", "which routes fail could not be asked"
        return [_found("advice", what, why, "give one that has the permission operations:read, in AGENTOPS_API_KEY")]
    try:
        routes = msgspec.json.decode(reply.body, type=list[_Figures])
    except msgspec.MsgspecError:
        raise Unavailable(f"{lane}/performance answers {reply.status} and no figures") from None
    return [
        _found(
            "risk",
            f"{each.method} {each.route} failed {each.errors:,} of {each.count:,} times since the server started",
            "those who asked were answered with a status of 500 or above",
            "its log tells each of them: look for request.failed and for statuses of 5xx",
        )
        for each in routes
        if each.errors and each.errors >= FAILING_SHARE * each.count
    ]


def _get(url: str, path: str, headers: Mapping[str, str]) -> Reply:
    began = time.monotonic()
    connection = connection_to(url, SECONDS)
    try:
        connection.request("GET", urlsplit(url).path.rstrip("/") + path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read(BODY_MOST)
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"nobody answers at {url}: {reason(error)}") from error
    finally:
        connection.close()
    return Reply(answer.status, answer.getheader("Date"), body, time.monotonic() - began)


def _status(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Said).status
    except msgspec.MsgspecError:
        return ""


def _details(details: Mapping[str, Any]) -> str:
    return f": {', '.join(f'{name} {value}' for name, value in details.items())}" if details else ""


def _found(weight: Weight, what: str, why: str, remedy: str) -> Finding:
    return Finding(weight, Problem("", what, why, remedy))
