"""The audit trail keeps the contract of features."""

from __future__ import annotations

import pytest

from agentops.plugins.features.audit import Audit
from agentops.testing.feature import FeatureContract


class TestAudit(FeatureContract):
    @pytest.fixture
    def feature(self) -> Audit:
        return Audit()
