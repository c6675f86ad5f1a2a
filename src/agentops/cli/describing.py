"""A deployment in words, for `serve` and `check`; nothing that is secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import asdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentops.core.deployment import Deployment
    from agentops.core.lanes import Lane
    from agentops.core.plugin import Plugin
    from agentops.core.ports.auth import Authenticator

_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)[^/\s]*@")


def lane_in_words(lane: Lane, auth: Mapping[str, Authenticator]) -> str:
    serves = ", ".join(type(feature).__name__.lower() for feature in lane.serve)
    if lane.is_unguarded(auth):
        return f"{serves}; open to whoever reaches it"
    return f"{serves}; for holders of: {', '.join(name for name in lane.auth if auth[name].armed)}"


def deployment_in_words(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """What each part is, as pairs of a name and a sentence."""
    server = deployment.server
    yield "file", deployment.source
    workers = "1 worker" if server.workers == 1 else f"{server.workers} workers"
    yield "server", f"{server.host or 'every address'}, port {server.port or 'any'}, {workers} on {server.engine}"
    keep = deployment.events.retention
    yield "events", f"the newest {keep} of each run are kept" if keep else "all are kept"
    yield "storage", _with_settings(deployment.storage)
    for name, part in deployment.parts():
        if name != "storage" and not name.startswith("features."):
            yield name, _class_of(part)
    for lane in deployment.lanes:
        yield lane.key, f"{lane.path}: {lane_in_words(lane, deployment.auth)}; errors as {lane.errors}"


def _class_of(part: Plugin[Any]) -> str:
    kind = type(part)
    return kind.__name__ if kind.__module__.startswith("agentops.") else f"{kind.__module__}:{kind.__name__}"


def _with_settings(part: Plugin[Any]) -> str:
    settings = ", ".join(
        f"{name} = {_PASSWORD_IN_URL.sub('', repr(value))}" for name, value in asdict(part.settings).items()
    )
    return f"{_class_of(part)} ({settings})" if settings else _class_of(part)
