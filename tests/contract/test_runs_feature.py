"""Runs keep the contract of features."""

from __future__ import annotations

import pytest

from agentops.plugins.features.runs import Runs
from agentops.testing.feature import FeatureContract


class TestRuns(FeatureContract):
    @pytest.fixture
    def feature(self) -> Runs:
        return Runs()
