"""The gateway keeps the contract of features, and says before a start what is wrong with its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentops import Kit, Lane
from agentops.core.problem import ConfigurationError
from agentops.plugins.features.gateway import Gateway
from agentops.plugins.models.fixture import Fixture
from agentops.testing.feature import LANES, FeatureContract, NoRights
from tests.core.parts import storage_in

if TYPE_CHECKING:
    from pathlib import Path

MODELS: dict[str, Any] = {"small": {"targets": [{"provider": "echo"}]}}
PRICES: list[Any] = [{"provider": "echo", "model": "small", "input": 1, "output": 1}]


def kit_of(folder: Path, **settings: Any) -> Kit:
    gateway = Gateway(**{"models": MODELS, "prices": PRICES, **settings})
    lanes = [Lane(path, auth=["contract"], serve=[gateway]) for path in LANES]
    return Kit(storage=storage_in(folder), models={"echo": Fixture()}, auth={"contract": NoRights()}, lanes=lanes)


class TestGateway(FeatureContract):
    @pytest.fixture
    def feature(self) -> Gateway:
        return Gateway(models=MODELS, prices=PRICES)

    @pytest.fixture
    def kit(self, feature: Any, tmp_path: Path) -> Kit:
        lanes = [Lane(path, auth=["contract"], serve=[feature]) for path in LANES]
        return Kit(storage=storage_in(tmp_path), models={"echo": Fixture()}, auth={"contract": NoRights()}, lanes=lanes)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no-model": ({"models": {}, "prices": []}, "models: no model is named"),
    "no-price": ({"prices": []}, "models.small.targets[0]: 'small' of 'echo' has no price"),
    "a-price-of-nothing": (
        {"prices": [*PRICES, {"provider": "echo", "model": "smal", "input": 1, "output": 1}]},
        "prices[1]: no model is asked of 'echo' as 'smal'; this price would never be used; did you mean 'small'?",
    ),
    "no-such-provider": (
        {
            "models": {"small": {"targets": [{"provider": "ecko"}]}},
            "prices": [{"provider": "ecko", "model": "small", "input": 1, "output": 1}],
        },
        "models.small.targets[0].provider: no provider is called 'ecko'; nobody could be asked; did you mean 'echo'?",
    ),
    "no-such-model-of-a-key": ({"each_key": {"models": ["smal"]}}, "each_key.models[0]: there is no model 'smal'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_before_a_start(tmp_path: Path, name: str) -> None:
    settings, said = WRONG[name]
    with pytest.raises(ConfigurationError) as raised:
        kit_of(tmp_path, **settings)
    assert said in str(raised.value)
