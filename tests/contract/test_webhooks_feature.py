"""Webhooks keep the contract of features, and say before a start what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops.core.problem import ConfigurationError
from agentops.plugins.features.webhooks import Webhooks
from agentops.testing.feature import FeatureContract
from tests.contract.test_keys_feature import kit_of

if TYPE_CHECKING:
    from pathlib import Path


class TestWebhooks(FeatureContract):
    @pytest.fixture
    def feature(self) -> Webhooks:
        return Webhooks()


def test_a_network_that_is_none_is_told_before_a_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        kit_of(Webhooks(allow=["10.0.0.0/8", "10.0.0.7/8"]), tmp_path)
    assert "features.Webhooks.allow[1]: '10.0.0.7/8' is no network" in str(raised.value)
