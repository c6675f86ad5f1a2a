"""From `--config` to a deployment: every part made, every mistake found, and nothing started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from agentops.core.config.convert import Converter
from agentops.core.config.files import locate
from agentops.core.config.layers import Layer, read_layers
from agentops.core.config.references import Outcome
from agentops.core.config.sections import DEFAULT_USE, NAMED_PLUGINS, ONE_PLUGIN, SECTIONS
from agentops.core.config.settings import EventSettings, LaneSettings, ServerSettings
from agentops.core.deployment import (
    Deployment,
    check_anything_served,
    check_beside,
    check_granted,
    check_part,
    check_together,
    registry_of,
)
from agentops.core.discovery import find, is_built_in, known, where_raised
from agentops.core.lanes import Lane, check_paths, check_serves
from agentops.core.plugin import Kind, Plugin
from agentops.core.ports.auth import Authenticator
from agentops.core.ports.bus import Bus
from agentops.core.ports.feature import Feature
from agentops.core.ports.limiter import Limiter
from agentops.core.ports.model import Model
from agentops.core.ports.retry import Retry
from agentops.core.ports.storage import Storage
from agentops.core.ports.telemetry import Telemetry
from agentops.core.problem import ConfigurationError, Problem, nearest


def load(config: str | Path | None = None, *, environ: Mapping[str, str], sets: Sequence[str] = ()) -> Deployment:
    """Read a configuration, make its parts and check them all, or raise with every mistake at once."""
    path = locate(config)
    return _Assembly(read_layers(path, environ, sets), environ).deployment(str(path))


class _Assembly:
    """Makes what can be made, and keeps the problems of what cannot."""

    def __init__(self, layer: Layer, environ: Mapping[str, str]) -> None:
        self._layer = layer
        self._converter = Converter(environ, layer.source_of)
        self._converter.problems += layer.problems
        self._tables = {
            section: self._converter.table(layer.values.get(section, {}), section) or {}
            for section in (*NAMED_PLUGINS, "lanes")
        }
        self._parts: dict[str, Plugin[Any] | None] = {}
        """By the key of its table; `None` is one that could not be made."""

    def deployment(self, source: str) -> Deployment:
        values = self._layer.values
        for name in values:
            if name not in SECTIONS:
                self._report(name, "no such section", "it would change nothing", nearest(name, SECTIONS))
        server = self._converter.salvage(values.get("server", {}), ServerSettings, "server")
        events = self._converter.salvage(values.get("events", {}), EventSettings, "events")
        for section, kind in ONE_PLUGIN.items():
            if section in values:
                self._make(kind, section, values[section], DEFAULT_USE.get(section))
        for section, kind in NAMED_PLUGINS.items():
            for name, table in self._tables[section].items():
                self._make(kind, f"{section}.{name}", table, name)
        lanes = self._lanes()
        self._check(lanes, server)
        if problems := self._converter.found():
            raise ConfigurationError(problems)
        return Deployment(
            storage=cast("Storage", self._parts["storage"]),
            bus=cast("Bus", self._parts["bus"]),
            limiter=cast("Limiter | None", self._parts.get("limiter")),
            retry=cast("Retry | None", self._parts.get("retry")),
            telemetry=_with_log(cast("dict[str, Telemetry]", self._made("telemetry"))),
            models=cast("dict[str, Model]", self._made("models")),
            auth=cast("dict[str, Authenticator]", self._made("auth")),
            lanes=lanes,
            server=server,
            events=events,
            source=source,
        )

    def _made(self, section: str) -> dict[str, Plugin[Any]]:
        parts = {name: self._parts[f"{section}.{name}"] for name in self._tables[section]}
        return {name: part for name, part in parts.items() if part is not None}

    def _make(self, kind: Kind, key: str, value: object, default_use: str | None) -> None:
        self._parts[key] = None
        table = self._converter.table(value, key)
        if table is None:
            return
        use = self._converter.value(table["use"], str, f"{key}.use") if "use" in table else Outcome.ABSENT
        if use is Outcome.ABSENT:
            use = default_use
        if use is None:
            self._report(key, "`use` is missing", "it names the plugin", f"installed are: {', '.join(known(kind))}")
        elif use is not Outcome.FAILED:
            settings = {name: value for name, value in table.items() if name != "use"}
            self._parts[key] = self._plugin(kind, use, key, f"{key}.use" if "use" in table else key, settings)

    def _plugin(self, kind: Kind, use: str, key: str, use_key: str, table: dict[str, object]) -> Plugin[Any] | None:
        try:
            plugin = find(kind, use, use_key)
        except ConfigurationError as error:
            self._keep(error.problems)
            return None
        settings = self._converter.struct(table, plugin.settings_type, key)
        if settings is None:
            return None
        try:
            return plugin(settings)
        except ConfigurationError as error:
            self._keep_said_by(plugin, [problem.within(key) for problem in error.problems])
        except ValueError as error:
            refusal = Problem(key, str(error), f"{plugin.__name__} refuses these settings", "change them")
            self._keep_said_by(plugin, [refusal])
        except Exception as error:  # noqa: BLE001 - a stranger's plugin may raise anything
            self._report(
                key,
                f"{plugin.__name__} could not be made: {where_raised(error)}",
                "a plugin keeps its settings when it is made, and does no more",
                "this is a fault of the plugin, to be told to its author",
            )
        return None

    def _lanes(self) -> list[Lane]:
        tables = self._tables["lanes"]
        if self._is_right("lanes"):
            self._keep(check_anything_served(tables))
        lanes = [self._lane(name, value) for name, value in tables.items()]
        self._keep(check_paths([lane for lane in lanes if self._is_right(lane.key, f"{lane.key}.path")]))
        return lanes

    def _lane(self, name: str, value: object) -> Lane:
        key = f"lanes.{name}"
        said = self._converter.salvage(value, LaneSettings, key, path="", serve=[], open=True)
        features = [self._feature(feature, f"{key}.serve") for feature in said.serve]
        served = [feature for feature in features if feature is not None]
        lane = Lane(
            said.path, served, said.auth, said.errors, open=said.open, cors=said.cors, limits=said.limits, name=name
        )
        if self._is_right(key, f"{key}.serve") and len(served) == len(features):
            self._keep(check_serves(lane))
        return lane

    def _feature(self, name: str, key: str) -> Feature | None:
        table = f"features.{name}"
        if table not in self._parts:
            names = {*known("feature"), *self._tables["features"]}
            if name not in names and ":" not in name:
                self._report(
                    key, f"no feature is called {name!r}", "this lane would not serve it", nearest(name, names)
                )
                return None
            self._parts[table] = self._plugin("feature", name, table, key, {})
        return cast("Feature | None", self._parts[table])

    def _check(self, lanes: Sequence[Lane], server: ServerSettings) -> None:
        made = [(key, part) for key, part in self._parts.items() if part is not None]
        auth = cast("dict[str, Authenticator]", self._made("auth"))
        for key, part in made:
            self._keep_said_by(type(part), check_part(key, part))
        models = cast("dict[str, Model]", self._made("models"))
        if (len(auth), len(models)) == (len(self._tables["auth"]), len(self._tables["models"])):
            for key, part in made:
                self._keep_said_by(type(part), check_beside(key, part, auth, models))
        features = [part for key, part in self._parts.items() if key.startswith("features.")]
        if all(features):
            told = {problem.key for problem in self._converter.problems}
            self._keep(check_granted(made, registry_of(cast("list[Feature]", features)), told))
        unset = {
            name: [place for key, place in self._converter.unset.items() if key.startswith(f"auth.{name}.")]
            for name in self._tables["auth"]
        }
        self._keep(
            check_together(
                [lane for lane in lanes if self._is_right(lane.key, f"{lane.key}.auth")],
                known_auth=self._tables["auth"],
                auth=auth,
                server=server,
                bus=cast("Bus | None", self._parts.get("bus")),
                limiter=cast("Limiter | None", self._parts.get("limiter")),
                telemetry=cast("dict[str, Telemetry]", self._made("telemetry")),
                unset=unset,
            )
        )

    def _is_right(self, *keys: str) -> bool:
        """Whether nothing was found wrong with these keys themselves, or with an element of theirs."""
        wrong = {problem.key.partition("[")[0] for problem in self._converter.problems}
        return wrong.isdisjoint(keys)

    def _keep_said_by(self, plugin: type[Plugin[Any]], problems: Iterable[Problem]) -> None:
        """A plugin that we do not know may show a secret in any of its words."""
        secrets = self._converter.secrets
        self._keep(problems if is_built_in(plugin) else [problem.without(secrets) for problem in problems])

    def _keep(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            source = problem.source or self._layer.source_of(problem.key)
            self._converter.problems.append(replace(problem, source=source))

    def _report(self, key: str, what: str, why: str, remedy: str) -> None:
        self._converter.report(key, what, why, remedy)


def _with_log(telemetry: dict[str, Telemetry]) -> dict[str, Telemetry]:
    """Figures alone would leave nobody to say why a request failed. Without any sink, whoever serves adds the log."""
    if not telemetry:
        return telemetry
    log = cast("type[Telemetry]", find("telemetry", "log"))
    return telemetry if any(isinstance(sink, log) for sink in telemetry.values()) else {"log": log(), **telemetry}
