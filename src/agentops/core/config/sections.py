"""The sections of a configuration file, and which of them are tables of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentops.core.plugin import Kind

ONE_PLUGIN: Final[dict[str, Kind]] = {"storage": "storage", "bus": "bus", "limiter": "limiter", "retry": "retry"}
"""Sections that are the table of one plugin."""

NAMED_PLUGINS: Final[dict[str, Kind]] = {
    "telemetry": "telemetry",
    "models": "model",
    "auth": "auth",
    "features": "feature",
}
"""Sections that hold any number of plugins, each in a table of its own name."""

DEFAULT_USE: Final = {"storage": "sqlite", "bus": "memory"}
"""What a deployment has without saying so."""

SECTIONS: Final = ("server", "events", *ONE_PLUGIN, *NAMED_PLUGINS, "lanes")


def is_plugin_table(path: Sequence[str]) -> bool:
    if len(path) == 1:
        return path[0] in ONE_PLUGIN
    return len(path) == 2 and path[0] in NAMED_PLUGINS
