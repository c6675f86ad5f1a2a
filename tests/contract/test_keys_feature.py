"""Keys keep the contract of features, and say before a start what they lack."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops import Authenticator, Caller, Identity, Kit, Lane, NoSettings
from agentops.core.problem import ConfigurationError
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.features.keys import Keys
from agentops.plugins.features.mcp import Mcp
from agentops.testing._running import storage_in
from agentops.testing.feature import LANES, FeatureContract, NoRights
from agentops.testing.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agentops.testing.feature import AnyFeature


class AllRights(Authenticator[NoSettings]):
    async def authenticate(self, caller: Caller) -> Identity | None:
        return Identity("anybody", permissions=frozenset({"*"}))


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
    assert kit_of(Keys(auth="one"), tmp_path, one=HashedKeys(), two=HashedKeys(prefix="uc_")).deployment.features


async def test_an_authenticator_that_is_down_costs_no_other_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def fails(_self: object, _rungs: object) -> AsyncIterator[None]:
        raise OSError("no room")
        yield  # pragma: no cover

    monkeypatch.setattr(HashedKeys, "life", fails)
    lanes = [Lane("/api", [Keys()], ["all"]), Lane("/calls", [Mcp()], ["all"])]
    kit = Kit(storage=storage_in(tmp_path), auth={"all": AllRights(), "keys": HashedKeys()}, lanes=lanes)
    async with serving(kit) as server:
        assert (await server.client.post("/api/keys", json={"name": "a"})).status_code == 503
        assert (await server.client.get("/api/keys")).json() == {"api_keys": [], "total": 0}
        assert (await server.client.post("/calls", json={})).status_code == 200
