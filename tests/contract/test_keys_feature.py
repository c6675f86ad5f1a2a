"""Keys keep the contract of features, and say before a start what they lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentops import Kit, Lane
from agentops.core.problem import ConfigurationError
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.features.keys import Keys
from agentops.plugins.features.mcp import Mcp
from agentops.testing._running import storage_in
from agentops.testing.feature import LANES, FeatureContract, NoRights

if TYPE_CHECKING:
    from pathlib import Path

    from agentops.core.ports.auth import Authenticator
    from agentops.testing.feature import AnyFeature


def kit_of(feature: AnyFeature, folder: Path, **auth: Authenticator[Any]) -> Kit:
    lanes = [Lane(path, auth=["contract"], serve=[feature]) for path in LANES]
    return Kit(storage=storage_in(folder), auth={"contract": NoRights(), **auth}, lanes=lanes)


class TestKeys(FeatureContract):
    @pytest.fixture
    def feature(self) -> Keys:
        return Keys()

    @pytest.fixture
    def kit(self, feature: AnyFeature, tmp_path: Path) -> Kit:
        return kit_of(feature, tmp_path, keys=HashedKeys())


class TestMcp(FeatureContract):
    @pytest.fixture
    def feature(self) -> Mcp:
        return Mcp()


@pytest.mark.parametrize(
    ("settings", "auth", "told"),
    [
        ({}, [], "features.Keys.auth: no authenticator of this deployment can do this"),
        ({}, ["one", "two"], "say which: 'one' or 'two'"),
        ({"auth": "on"}, ["one"], "no authenticator is called 'on'"),
        ({"auth": "contract"}, ["one"], "the authenticator 'contract' cannot do this"),
        ({"own_path": "", "administered": False}, ["one"], "features.Keys.own_path: no route is left"),
        ({"default_permissions": ["runs:raed"]}, ["one"], "there is no permission 'runs:raed'"),
    ],
)
def test_what_is_wrong_is_told_before_a_start(
    tmp_path: Path, settings: dict[str, Any], auth: list[str], told: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        kit_of(Keys(**settings), tmp_path, **{name: HashedKeys() for name in auth})
    assert told in str(raised.value)


def test_of_several_one_is_named(tmp_path: Path) -> None:
    assert kit_of(Keys(auth="one"), tmp_path, one=HashedKeys(), two=HashedKeys()).deployment.features
