"""Whoever adds a built-in plugin also writes of it and holds it to its contract."""

from __future__ import annotations

from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from agentops.core.config.settings import EventSettings, LaneSettings, ServerSettings
from agentops.core.plugin import LADDER

if TYPE_CHECKING:
    from agentops.core.plugin import Plugin

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

OURS: Final = distribution("agentops-kit").entry_points
BUILT_IN: Final = [entry for kind in LADDER for entry in sorted(OURS.select(group=f"agentops.{kind}"))]


def name_of(entry: EntryPoint) -> str:
    return f"{entry.group.removeprefix('agentops.')}-{entry.name}"


each_built_in = pytest.mark.parametrize("entry", BUILT_IN, ids=name_of)


def test_there_are_built_ins_of_every_kind_that_is_used() -> None:
    assert {entry.group for entry in BUILT_IN} >= {f"agentops.{kind}" for kind in ("storage", "bus", "auth", "feature")}


@each_built_in
def test_is_what_its_group_says(entry: EntryPoint) -> None:
    plugin: type[Plugin[Any]] = entry.load()
    assert f"agentops.{plugin.kind}" == entry.group


@each_built_in
def test_is_told_of_in_the_documentation(entry: EntryPoint) -> None:
    names = {f'"{entry.name}"', f"`{entry.name}`"}
    assert any(name in page.read_text("utf-8") for page in PAGES for name in names)


@each_built_in
def test_is_held_to_its_contract(entry: EntryPoint) -> None:
    """A class in `tests/contract` subclasses the suite of the kind, and the module names the plugin's class."""
    suite = f"{entry.group.removeprefix('agentops.').capitalize()}Contract"
    tests = [path.read_text("utf-8") for path in sorted((ROOT / "tests" / "contract").rglob("test_*.py"))]
    assert any(f"({suite}" in text and entry.attr in text for text in tests)


@pytest.mark.parametrize(
    "settings",
    [ServerSettings, EventSettings, LaneSettings, *(entry.load().settings_type for entry in BUILT_IN)],
    ids=["server", "events", "lanes", *map(name_of, BUILT_IN)],
)
def test_every_setting_is_in_the_reference(settings: type[msgspec.Struct], configuration_page: str) -> None:
    missing = [
        field.encode_name
        for field in msgspec.structs.fields(settings)
        if f"| `{field.encode_name}` |" not in configuration_page
    ]
    assert missing == []
