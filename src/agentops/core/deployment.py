"""A deployment: every part of it made and checked, and none of them started."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentops.core.config.settings import EventSettings, ServerSettings
from agentops.core.discovery import where_raised
from agentops.core.lanes import Lane, check_chain, check_openness, check_paths, check_serves
from agentops.core.permissions import BASE, unknown
from agentops.core.plugin import Plugin
from agentops.core.ports.auth import Authenticator
from agentops.core.ports.bus import Bus
from agentops.core.ports.feature import Feature
from agentops.core.ports.limiter import Limiter
from agentops.core.ports.retry import Retry
from agentops.core.ports.storage import Storage
from agentops.core.ports.telemetry import Telemetry
from agentops.core.problem import Problem, nearest

GRANTING: Final = ("permissions", "default_permissions")
"""The settings, of whatever plugin, that hold permissions which it hands out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a configuration file describes, as objects."""

    storage: Storage
    bus: Bus
    lanes: Sequence[Lane]
    auth: Mapping[str, Authenticator] = field(default_factory=dict[str, Authenticator])
    telemetry: Mapping[str, Telemetry] = field(default_factory=dict[str, Telemetry])
    limiter: Limiter | None = None
    retry: Retry | None = None
    server: ServerSettings = field(default_factory=ServerSettings)
    events: EventSettings = field(default_factory=EventSettings)
    source: str = ""
    """The file it was read from; empty when it was composed in Python."""

    @property
    def features(self) -> Sequence[Feature]:
        """Each feature once, in the order the lanes name them."""
        return list({id(feature): feature for lane in self.lanes for feature in lane.serve}.values())

    @property
    def permissions(self) -> Mapping[str, str]:
        """Every permission there is, with what it allows."""
        return registry_of(self.features)

    def parts(self) -> Iterator[tuple[str, Plugin[Any]]]:
        """Every plugin, and the key of its table; a feature composed in Python has its class for a name."""
        yield "storage", self.storage
        yield "bus", self.bus
        if self.limiter is not None:
            yield "limiter", self.limiter
        if self.retry is not None:
            yield "retry", self.retry
        for name, telemetry in self.telemetry.items():
            yield f"telemetry.{name}", telemetry
        for name, authenticator in self.auth.items():
            yield f"auth.{name}", authenticator
        for feature in self.features:
            yield f"features.{type(feature).__name__}", feature

    def problems(self) -> list[Problem]:
        """Everything that can be known to be wrong without starting it; for one that was composed in Python."""
        return [
            *check_parts(self.parts()),
            *check_beside(self.parts(), self.auth),
            *check_granted(self.parts(), self.permissions),
            *check_anything_served(self.lanes),
            *check_paths(self.lanes),
            *(problem for lane in self.lanes for problem in check_serves(lane)),
            *check_together(
                self.lanes,
                known_auth=self.auth,
                auth=self.auth,
                server=self.server,
                bus=self.bus,
                limiter=self.limiter,
            ),
        ]


def registry_of(features: Iterable[Feature]) -> Mapping[str, str]:
    """The closed set of permissions: the base's, and what these features add."""
    return dict(BASE) | {name: what for feature in features for name, what in feature.permissions.items()}


def check_granted(parts: Iterable[tuple[str, Plugin[Any]]], registry: Mapping[str, str]) -> Iterator[Problem]:
    """Which permissions the settings of plugins hand out that do not exist."""
    for key, plugin in parts:
        for name in GRANTING:
            granted: list[str] = getattr(plugin.settings, name, [])
            for wrong in unknown(granted, registry):
                yield Problem(
                    f"{key}.{name}",
                    f"there is no permission {wrong!r}",
                    "no route asks for it, so it would allow nothing",
                    nearest(wrong, registry),
                )


def check_parts(parts: Iterable[tuple[str, Plugin[Any]]]) -> Iterator[Problem]:
    """What each plugin finds wrong with itself, under the key of its table."""
    for key, plugin in parts:
        try:
            yield from [problem.within(key) for problem in plugin.check()]
        except Exception as error:  # noqa: BLE001 - a stranger's check may raise anything
            yield Problem(
                key,
                f"{type(plugin).__name__} failed while it was checked: {where_raised(error)}",
                "nothing is known about its settings",
                "this is a fault of the plugin, to be told to its author",
            )


def check_beside(parts: Iterable[tuple[str, Plugin[Any]]], auth: Mapping[str, Authenticator]) -> Iterator[Problem]:
    """What each feature finds wrong with itself beside the authenticators there are, under the key of its table."""
    for key, plugin in parts:
        if isinstance(plugin, Feature):
            yield from [problem.within(key) for problem in plugin.check_beside(auth)]


def check_anything_served(lanes: Collection[object]) -> Iterator[Problem]:
    if not lanes:
        yield Problem(
            "lanes",
            "there is no lane",
            "every request would be answered 404",
            'add one: [lanes.api] with path = "/api" and serve = ["runs"]',
        )


def check_together(
    lanes: Sequence[Lane],
    *,
    known_auth: Collection[str],
    auth: Mapping[str, Authenticator],
    server: ServerSettings,
    bus: Bus | None,
    limiter: Limiter | None,
    unset: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Problem]:
    """What is wrong only in combination, as far as the parts could be made.

    `known_auth` also names authenticators that could not be made; `unset` is explained at `check_openness`.
    """
    for lane in lanes:
        yield from check_chain(lane, known_auth)
        yield from check_openness(lane, auth, server.host, unset or {})
    if server.workers > 1:
        yield from _check_workers(server, bus, limiter)


def _check_workers(server: ServerSettings, bus: Bus | None, limiter: Limiter | None) -> Iterator[Problem]:
    if bus is not None and not bus.spans_processes:
        yield Problem(
            "server.workers",
            f"{server.workers} workers on a bus that reaches one process only ({type(bus).__name__})",
            "a stream would learn late what another worker stored",
            "set workers = 1, or name a bus between processes in [bus]",
        )
    if limiter is not None and not limiter.spans_processes:
        yield Problem(
            "server.workers",
            f"{server.workers} workers on a limiter that counts in one process only ({type(limiter).__name__})",
            f"every limit would be {server.workers} times as high as it says",
            "set workers = 1, or name a limiter between processes in [limiter]",
        )
    if server.port == 0:
        yield Problem(
            "server.port",
            f"{server.workers} workers on port 0",
            "each would listen on another port",
            "name a port, or set workers = 1",
        )
