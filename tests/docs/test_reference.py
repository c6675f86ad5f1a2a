"""The reference leaves nothing out that is made from the code, and the list of figures none that is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from _reference import configuration, fields, plugins
from _reference.installed import every_built_in
from agentops.core.plugin import LADDER, Plugin
from tests.docs.test_grafana import families_told

FIGURES: Final = (Path(__file__).parents[2] / "docs" / "how-to" / "watch-the-server.md").read_text("utf-8")
PAGE: Final = configuration.page()
BUILT_IN: Final = {f"{kind}-{name}": plugin for kind, name, plugin in every_built_in()}


@pytest.mark.parametrize("plugin", BUILT_IN.values(), ids=BUILT_IN)
def test_every_setting_is_told_also_in_tables_within_tables(plugin: type[Plugin]) -> None:
    settings = plugin.settings_type
    for table in [settings, *fields.nested(settings)]:
        assert configuration.keys(table) in PAGE
    for inner in fields.nested(settings):
        assert inner.__doc__ is not None
        assert inner.__doc__ in PAGE


def test_settings_in_lists_and_tables_are_found() -> None:
    from agentops.plugins.features.gateway import GatewaySettings

    names = [table.__name__ for table in fields.nested(GatewaySettings)]
    assert names[:3] == ["ModelSettings", "TargetSettings", "PriceSettings"]
    assert "CreditSettings" in names


def test_every_kind_of_plugin_is_told_of() -> None:
    page = plugins.page()
    assert [kind for kind in LADDER if f"\n## {kind}\n" not in page] == []
    assert "| `fixture` |" in page


def test_every_figure_that_is_told_is_listed() -> None:
    listed = {f"agentops_{name}" for name in re.findall(r"`([a-z_]+)`", FIGURES)}
    unlisted = [sorted(family) for family in families_told() if not {_plain(name) for name in family} & listed]
    assert unlisted == []


def _plain(sample: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", sample)
