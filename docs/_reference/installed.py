"""The plugins that this distribution brings, found as any other: by entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, distribution
from typing import TYPE_CHECKING, Any

from agentops.core.plugin import LADDER, Kind, Plugin

if TYPE_CHECKING:
    from collections.abc import Iterator


def built_in(kind: Kind) -> list[EntryPoint]:
    mine = distribution("agentops-kit").entry_points
    return sorted(mine.select(group=f"agentops.{kind}"), key=lambda entry: entry.name)


def every_built_in() -> Iterator[tuple[Kind, str, type[Plugin[Any]]]]:
    for kind in LADDER:
        for entry in built_in(kind):
            yield kind, entry.name, entry.load()
