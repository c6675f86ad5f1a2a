"""The whole examination of a deployment: its configuration, then the server beside the parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from agentops._version import __version__
from agentops.cli.doctor.asking import Answer, unanswered
from agentops.cli.doctor.exposure import look_at
from agentops.cli.doctor.parts import ask_parts
from agentops.cli.doctor.server import Place, ask_server
from agentops.cli.doctor.waiting import run
from agentops.cli.reaching import dialled, url_at
from agentops.core.kit import Kit
from agentops.core.ports.credential import DescribesCredential
from agentops.core.ports.diagnosis import Finding
from agentops.core.problem import ConfigurationError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from litestar import Litestar

    from agentops.core.config.settings import ServerSettings
    from agentops.core.deployment import Deployment
    from agentops.core.lanes import Lane
    from agentops.core.ports.auth import Authenticator


class Examination(NamedTuple):
    """What was looked at, and what came of it."""

    file: str
    url: str
    answers: Sequence[Answer]

    @property
    def head(self) -> str:
        return " · ".join(part for part in (f"agentops {__version__}", self.file, self.url) if part)


def examine(load: Callable[[], Deployment], url: str | None, key: str | None) -> Examination:
    """A configuration that is wrong describes nothing that could be asked."""
    try:
        deployment = load()
        app = Kit.of(deployment).app()
    except ConfigurationError as error:
        found = [Finding("failing", problem) for problem in error.problems]
        what, why = "the server and the database were not asked", "one with mistakes does not say where they are"
        unasked = Finding("advice", Problem("", what, why, "mend it, and ask again"))
        return Examination("", url or "", [Answer("configuration", found), Answer("all else", [unasked])])
    watched = _watched(app, deployment)
    at = url or _address(deployment.server)
    settings = [Answer("configuration", []), *look_at(deployment, url, watched)]
    return Examination(deployment.source, at, [*run(_asked(deployment, at, key, watched)), *settings])


async def _asked(deployment: Deployment, url: str, key: str | None, watched: Sequence[Lane]) -> list[Answer]:
    server, parts = await asyncio.gather(_ask_server(deployment, url, key, watched), ask_parts(deployment))
    return [*server, *parts]


async def _ask_server(deployment: Deployment, url: str, key: str | None, watched: Sequence[Lane]) -> list[Answer]:
    if not url:
        remedy = "say where it is with --url"
        found = unanswered("the server's port is any that was free", "it cannot be found by its settings", remedy)
        return [Answer("server", [found.within("server.port")])]
    lane = next(iter(watched), None)
    credentials = None if lane is None else _credentials(lane, deployment.auth, key)
    place = Place(url, deployment.server.schema, None if lane is None else lane.path, credentials)
    return await ask_server(place)


def _watched(app: Litestar, deployment: Deployment) -> list[Lane]:
    """Those that answer as the feature `operations` does, whoever wrote what they serve."""
    paths = {route.path for route in app.routes}
    return [
        lane
        for lane in deployment.lanes
        if {f"{lane.path}{path}" for path in ("/live", "/ready", "/health", "/performance")} <= paths
    ]


def _address(server: ServerSettings) -> str:
    """Nothing when it is not known before it is bound."""
    if server.port == 0:
        return ""
    return url_at(dialled(server.host), server.port)


def _credentials(lane: Lane, auth: Mapping[str, Authenticator], key: str | None) -> Mapping[str, str] | None:
    """The headers in which this lane's authenticators look for a key."""
    if lane.is_unguarded(auth):
        return {}
    if not key:
        return None
    headers = dict[str, str]()
    for part in (auth[name] for name in lane.auth):
        scheme = part.credential() if isinstance(part, DescribesCredential) else {"type": "apiKey"}
        if scheme["type"] == "http":
            headers["Authorization"] = f"{scheme['scheme'].title()} {key}"
        else:
            headers.setdefault(scheme.get("name", "Authorization"), key)
    return headers
