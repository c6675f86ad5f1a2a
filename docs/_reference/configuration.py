"""Every key a configuration file may hold, from the settings the code defines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops.core.config.settings import EventSettings, LaneSettings, ServerSettings

from .fields import fields, nested
from .installed import every_built_in
from .markup import doc, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msgspec import Struct

MANY = {
    "auth": "auth.<name>",
    "telemetry": "telemetry.<name>",
    "model": "models.<name>",
    "feature": "features.<name>",
}


def page() -> str:
    parts = [
        "# Configuration\n",
        "Every key that this version knows. [How to configure](../how-to/configure.md) tells how the layers work.\n",
        "## The core\n",
    ]
    for section, settings in (("server", ServerSettings), ("events", EventSettings), ("lanes.<name>", LaneSettings)):
        parts += [f"### `[{section}]`\n", keys(settings), *tables(settings)]
    parts.append("## The built-in plugins\n")
    for kind, name, plugin in every_built_in():
        parts += [
            f"### {kind}: `{name}`\n",
            doc(plugin) + "\n",
            f'In `[{MANY.get(kind, kind)}]`, with `use = "{name}"`.\n',
            keys(plugin.settings_type),
            *tables(plugin.settings_type),
        ]
    return "\n".join(parts)


def tables(settings: type[Struct]) -> Iterator[str]:
    """The tables within a table, each with what its author says of it."""
    for inner in nested(settings):
        yield f"{doc(inner)}\n"
        yield keys(inner)


def keys(settings: type[Struct]) -> str:
    rows = [(f"`{field.name}`", field.type, field.default, field.meaning) for field in fields(settings)]
    return table(("key", "type", "default", "what it does"), rows) if rows else "It has no settings.\n"
