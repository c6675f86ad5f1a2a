"""A deployment: every part of it made and checked, and none of them started."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import asdict

from agentops.core.config.settings import EventSettings, ServerSettings
from agentops.core.discovery import where_raised
from agentops.core.lanes import Lane, check_chain, check_openness, check_paths, check_serves
from agentops.core.permissions import BASE, is_permission, unknown
from agentops.core.plugin import Plugin
from agentops.core.ports.auth import Authenticator
from agentops.core.ports.bus import Bus
from agentops.core.ports.exposition import Exposes
from agentops.core.ports.feature import Feature
from agentops.core.ports.keys import MakesKeys
from agentops.core.ports.limiter import Limiter
from agentops.core.ports.model import Model
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
    models: Mapping[str, Model] = field(default_factory=dict[str, Model])
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
        for name, model in self.models.items():
            yield f"models.{name}", model
        for name, authenticator in self.auth.items():
            yield f"auth.{name}", authenticator
        for feature in self.features:
            yield f"features.{type(feature).__name__}", feature

    def problems(self) -> list[Problem]:
        """Everything that can be known to be wrong without starting it; for one that was composed in Python."""
        parts = list(self.parts())
        said = [problem for key, part in parts for problem in check_part(key, part)]
        return [
            *said,
            *(problem for key, part in parts for problem in check_beside(key, part, self.auth, self.models)),
            *check_granted(parts, self.permissions, {problem.key for problem in said}),
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
                telemetry=self.telemetry,
            ),
        ]


def registry_of(features: Iterable[Feature]) -> Mapping[str, str]:
    """The closed set of permissions: the base's, and what these features add."""
    return dict(BASE) | {name: what for feature in features for name, what in feature.permissions.items()}


def check_granted(
    parts: Iterable[tuple[str, Plugin[Any]]], registry: Mapping[str, str], told: Collection[str]
) -> Iterator[Problem]:
    """Which permissions the settings of plugins hand out that do not exist.

    `told` holds the keys at which plugins found something themselves, such as a text that is no permission at all.
    """
    for part, plugin in parts:
        for key, granted in _granted(part, plugin.settings):
            for wrong in unknown(granted, registry):
                if is_permission(wrong) or key not in told:
                    yield Problem(
                        key,
                        f"there is no permission {wrong!r}",
                        "no route asks for it, so it would allow nothing",
                        nearest(wrong, registry),
                    )


def _granted(key: str, settings: Any) -> Iterator[tuple[str, list[str]]]:
    """What settings hand out, and the key that says so; also those inside others, as each issuer of tokens has some."""
    for name, value in asdict(settings).items():
        inner = cast("list[object]", value) if isinstance(value, list) else []
        if name in GRANTING:
            yield f"{key}.{name}", cast("list[str]", inner)
        for index, each in enumerate(inner):
            if isinstance(each, Struct):
                yield from _granted(f"{key}.{name}[{index}]", each)


def check_part(key: str, plugin: Plugin[Any]) -> Iterator[Problem]:
    """What a plugin finds wrong with itself, under the key of its table."""
    yield from _found_by(key, plugin, plugin.check)


def check_beside(
    key: str, plugin: Plugin[Any], auth: Mapping[str, Authenticator], models: Mapping[str, Model]
) -> Iterator[Problem]:
    """What a feature finds wrong with itself beside the parts that it builds on, under the key of its table."""
    if isinstance(plugin, Feature):
        yield from _found_by(key, plugin, lambda: plugin.check_beside(auth, models))


def _found_by(key: str, plugin: Plugin[Any], check: Callable[[], Iterable[Problem]]) -> Iterator[Problem]:
    try:
        yield from [problem.within(key) for problem in check()]
    except Exception as error:  # noqa: BLE001 - a stranger's check may raise anything
        yield Problem(
            key,
            f"{type(plugin).__name__} failed while it was checked: {where_raised(error)}",
            "nothing is known about its settings",
            "this is a fault of the plugin, to be told to its author",
        )


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
    telemetry: Mapping[str, Telemetry],
    unset: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Problem]:
    """What is wrong only in combination, as far as the parts could be made.

    `known_auth` also names authenticators that could not be made; `unset` is explained at `check_openness`.
    """
    yield from _check_prefixes(auth)
    for lane in lanes:
        yield from check_chain(lane, known_auth)
        yield from check_openness(lane, auth, server.host, unset or {})
        if lane.limits is not None and limiter is None:
            yield Problem(
                f"{lane.key}.limits",
                "nothing counts requests",
                "nobody would be limited",
                'add a table [limiter] with use = "memory", or "redis" for several processes',
            )
    if server.workers > 1:
        yield from _check_workers(server, bus, limiter)
        yield from _check_fetched(server, telemetry)


def _check_prefixes(auth: Mapping[str, Authenticator]) -> Iterator[Problem]:
    """A key says by its prefix alone which authenticator it is for."""
    first_with: dict[str, str] = {}
    for name, authenticator in auth.items():
        if isinstance(authenticator, MakesKeys):
            first = first_with.setdefault(authenticator.prefix, name)
            if first != name:
                yield Problem(
                    f"auth.{name}.prefix",
                    f"the keys of auth.{first} begin with {authenticator.prefix!r} too",
                    "a key that was made for one of the two would open the lanes of the other",
                    "give each a prefix of its own",
                )


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


def _check_fetched(server: ServerSettings, telemetry: Mapping[str, Telemetry]) -> Iterator[Problem]:
    for name, sink in telemetry.items():
        if isinstance(sink, Exposes):
            yield Problem(
                f"telemetry.{name}",
                f"figures that are fetched, of {server.workers} workers behind one port",
                "each keeps its own, and a fetch is answered by whichever comes first",
                "set workers = 1 and start several servers, or send the figures: use otlp or dogstatsd",
            )
